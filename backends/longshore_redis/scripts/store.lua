-- What every script begins with: the names of keys, the time, the schema, and writes that are gathered, so that one
-- command carries those of a thousand jobs. KEYS[1] is the namespace's tag with a colon; ARGV[1] is the time of a test's
-- clock, or ''. What is asked is packed as msgpack; what is not there is left out.
local call, root = redis.call, KEYS[1]
local VERSION, NONE = 1, -1
local WAITING, PENDING, RESERVED, RUNNING, SUCCEEDED, EXPIRED = 1, 2, 3, 4, 5, 8
local AT_ONCE = 4000 -- Lua passes some 8,000 values at once.
local examined = 0
local gathered_by = {ZADD = {}, ZREM = {}, SADD = {}, SREM = {}, HINCRBY = {}}

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

-- Strings by their bytes: Lua's own comparison follows the server's locale.
local function is_before(one, other)
  for at = 1, math.min(#one, #other) do
    local byte, its = one:byte(at), other:byte(at)
    if byte ~= its then return byte < its end
  end
  return #one < #other
end

local function gathered(command, set)
  local of_command = gathered_by[command]
  local members = of_command[set] or {}
  of_command[set] = members
  return members
end

local function add(set, score, member)
  local members = gathered('ZADD', set)
  local count = #members
  members[count + 1], members[count + 2] = score, member
end

local function gather(command, set, member)
  local members = gathered(command, set)
  members[#members + 1] = member
end

local function tally(hash, field, more)
  local counts = gathered('HINCRBY', hash)
  counts[field] = (counts[field] or 0) + more
end

local function in_pieces(command, key, values)
  for first = 1, #values, AT_ONCE do
    call(command, root .. key, unpack(values, first, math.min(first + AT_ONCE - 1, #values)))
  end
end

-- Writes what was gathered: no script reads what it gathers before that, and none takes back what it gathered.
local function write_sets()
  for _, command in ipairs({'ZREM', 'SREM', 'ZADD', 'SADD'}) do
    for set, members in pairs(gathered_by[command]) do in_pieces(command, set, members) end
    gathered_by[command] = {}
  end
  for hash, counts in pairs(gathered_by.HINCRBY) do
    for field, more in pairs(counts) do
      if more ~= 0 and call('HINCRBY', root .. hash, field, more) == 0 then call('HDEL', root .. hash, field) end
    end
  end
  gathered_by.HINCRBY = {}
end
