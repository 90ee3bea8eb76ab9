-- Creates the schema, or brings it up to date.
-- KEYS: the namespace's tag
-- ARGV: now
-- Answer: the stored version
-- include store.lua history.lua
if call('EXISTS', root .. 'meta') == 0 then
  call('HSET', root .. 'meta', 'version', VERSION, 'readable_from', VERSION)
end
store.need_schema()
history.floor()
return tonumber(call('HGET', root .. 'meta', 'version'))
