-- Removes jobs that still are what the driver saw, and that nobody holds.
-- KEYS: the namespace's tag
-- ARGV: now | per job: id, head …
-- Answer: ids of those that are gone
-- include store.lua job.lua standing.lua
need_schema()
local now, gone = time(), {}
for at = 2, #ARGV, 2 do
  local id = ARGV[at]
  local value = call('HGET', root .. 'jobs', id)
  if value and value:sub(9, 8 + #ARGV[at + 1]) == ARGV[at + 1] then
    local job = load(id)
    if job then stand(id, standing(job), nil, now) end
    call('HDEL', root .. 'jobs', id)
    call('DEL', root .. 'tries:' .. id)
    gone[#gone + 1] = id
  end
end
write_tallies()
return gone
