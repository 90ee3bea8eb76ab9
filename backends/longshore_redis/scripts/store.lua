-- What every script begins with: the names of keys, the time, the schema. KEYS[1] is the namespace's tag with a colon;
-- ARGV[1] is the time of a test's clock, or ''. What is asked is packed as msgpack; -1 stands for a number that is not
-- there, '' for such a text.
local call, root = redis.call, KEYS[1]
local VERSION, NONE = 1, -1
local WAITING, PENDING, RESERVED, RUNNING, SUCCEEDED, EXPIRED = 1, 2, 3, 4, 5, 8
local START = 1
local examined = 0

local function need_schema()
  local readable_from = call('HGET', root .. 'meta', 'readable_from')
  if not readable_from then error('LONGSHORE_SCHEMA missing') end
  if tonumber(readable_from) > VERSION then error('LONGSHORE_SCHEMA ' .. readable_from) end
end

local function time()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local now = call('TIME')
  return now[1] * 1000000 + now[2]
end
