-- The tallies of jobs, of groups or of holders.
-- KEYS: the namespace's tag
-- ARGV: now | which of the three | fields of it, or all …
-- Answer: field, number…
-- include store.lua
store.need_schema()
local hash = root .. 'tally:' .. ARGV[2]
if #ARGV == 2 then return call('HGETALL', hash) end
local found = {}
for at = 3, #ARGV do
  local number = call('HGET', hash, ARGV[at])
  if number then
    found[#found + 1] = ARGV[at]
    found[#found + 1] = number
  end
end
return found
