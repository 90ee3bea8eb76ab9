-- What every script begins with: the names of keys, the time, the schema, and writes that are gathered, so that one
-- command carries those of a thousand jobs. KEYS[1] is the namespace's tag with a colon; ARGV[1] is the time of a test's
-- clock, or ''. What is asked is packed as msgpack; what is not there is left out.
local call, root = redis.call, KEYS[1]
local VERSION, NONE = 1, -1
local WAITING, PENDING, RESERVED, RUNNING, SUCCEEDED, EXPIRED = 1, 2, 3, 4, 5, 8
local AT_ONCE = 4000 -- Lua passes some 8,000 values at once.
-- What files share stands in a table for each: a function that is a local of its own makes every other one dearer, since
-- each looks through all of them for what it uses, anew in each call of a script.
local NOTHING, gathered = {}, {}
local store = {examined = 0}

-- What a file has in its table is made when something of it is first asked for; most calls ask for nothing.
local function when_used(make)
  return setmetatable({}, {__index = function(made, name)
    setmetatable(made, nil)
    make(made)
    return made[name]
  end})
end

-- What is stored about the schema and the history, in one reading.
function store.need_schema()
  store.meta = call('HMGET', root .. 'meta', 'readable_from', 'history', 'floor')
  local readable_from = store.meta[1]
  if not readable_from then error('LONGSHORE_SCHEMA missing') end
  if tonumber(readable_from) > VERSION then error('LONGSHORE_SCHEMA ' .. readable_from) end
end

function store.time()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local now = call('TIME')
  return now[1] * 1000000 + now[2]
end

-- Strings by their bytes: Lua's own comparison follows the server's locale.
function store.is_before(one, other)
  for at = 1, math.min(#one, #other) do
    local byte, its = one:byte(at), other:byte(at)
    if byte ~= its then return byte < its end
  end
  return #one < #other
end

-- What one command will carry to one set; no script reads what it gathers before it is written, or takes it back.
function store.gathered(command, set)
  local sets = gathered[command]
  if not sets then
    sets = {}
    gathered[command] = sets
  end
  local members = sets[set]
  if not members then
    members = {}
    sets[set] = members
  end
  return members
end

function store.add(set, score, member)
  local members = store.gathered('ZADD', set)
  local count = #members
  members[count + 1], members[count + 2] = score, member
end

function store.gather(command, set, member)
  local members = store.gathered(command, set)
  members[#members + 1] = member
end

function store.tally(hash, field, more)
  local counts = store.gathered('HINCRBY', hash)
  counts[field] = (counts[field] or 0) + more
end

function store.in_pieces(command, key, values)
  for first = 1, #values, AT_ONCE do
    call(command, root .. key, unpack(values, first, math.min(first + AT_ONCE - 1, #values)))
  end
end

function store.write()
  if next(gathered) == nil then return end
  for _, command in ipairs({'ZREM', 'SREM', 'ZADD', 'SADD'}) do
    for set, members in pairs(gathered[command] or NOTHING) do store.in_pieces(command, set, members) end
  end
  for hash, counts in pairs(gathered.HINCRBY or NOTHING) do
    for field, more in pairs(counts) do
      if more ~= 0 and call('HINCRBY', root .. hash, field, more) == 0 then call('HDEL', root .. hash, field) end
    end
  end
  gathered = {}
end
