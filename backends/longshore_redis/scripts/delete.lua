-- Removes jobs that still are what the driver saw.
-- KEYS: the namespace's tag
-- ARGV: now | per job: id, head …
-- Answer: ids of those that are gone
-- include store.lua job.lua
-- include when used standing.lua
store.need_schema()
local now, gone = store.time(), {}
for at = 2, #ARGV, 2 do
  local id, head = ARGV[at], ARGV[at + 1]
  local value = call('HGET', root .. 'jobs', id)
  if value and value:sub(5, 4 + #head) == head then
    stored.read(id, value)
    local job = stored.load(id)
    if job then standing.stand(id, standing.of(job), nil, now) end
    call('DEL', root .. 'tries:' .. id)
    gone[#gone + 1] = id
  end
end
store.in_pieces('HDEL', 'jobs', gone)
store.write()
return gone
