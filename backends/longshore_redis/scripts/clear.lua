-- Removes some of what a namespace holds.
-- KEYS: the namespace's tag
-- ARGV: now | how many jobs
-- Answer: how many jobs are left
-- include store.lua job.lua standing.lua
need_schema()
local found = call('HSCAN', root .. 'jobs', 0, 'COUNT', ARGV[2])[2]
for at = 1, #found, 2 do
  local id = found[at]
  local job = load(id)
  if job then stand(id, standing(job), nil, 0) end
  call('HDEL', root .. 'jobs', id)
  call('DEL', root .. 'tries:' .. id)
end
write_tallies()
local left = call('HLEN', root .. 'jobs')
if left == 0 then
  for _, kind in ipairs(call('SMEMBERS', root .. 'kinds')) do
    call('UNLINK', root .. 'rec:' .. kind, root .. 'keys:' .. kind)
  end
  call('UNLINK', root .. 'kinds', root .. 'lapsing')
end
return left
