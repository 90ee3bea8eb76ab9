-- Writes records, each on its own, and sweeps away some that have expired.
-- KEYS: the namespace's tag
-- ARGV: now | writes | values …
-- writes: kind, key, version or -1, lifetime or -1, whether it erases
-- Answer: versions, -1 where it did not match
-- include store.lua history.lua
store.need_schema()
local now, writes, answers = store.time(), cmsgpack.unpack(ARGV[2]), {}

local function forget(kind, key)
  call('HDEL', root .. 'rec:' .. kind, key)
  call('ZREM', root .. 'keys:' .. kind, key)
  call('ZREM', root .. 'lapsing', kind .. '\0' .. key)
end

local function stored_version(kind, key)
  local record = call('HGET', root .. 'rec:' .. kind, key)
  if not record then return 0 end
  local version, expires = struct.unpack('>i8i8', record)
  return expires ~= NONE and expires <= now and 0 or version
end

local function write(kind, key, wanted, lifetime, erases, value)
  if wanted ~= NONE and wanted ~= stored_version(kind, key) then return NONE end
  local version = history.next_version()
  if erases then
    forget(kind, key)
    return version
  end
  local expires = lifetime == NONE and NONE or now + lifetime
  call('HSET', root .. 'rec:' .. kind, key, struct.pack('>i8i8', version, expires) .. value)
  call('ZADD', root .. 'keys:' .. kind, 0, key)
  call('SADD', root .. 'kinds', kind)
  if expires == NONE then
    call('ZREM', root .. 'lapsing', kind .. '\0' .. key)
  else
    call('ZADD', root .. 'lapsing', expires, kind .. '\0' .. key)
  end
  return version
end

for position, asked in ipairs(writes) do
  answers[position] = write(asked[1], asked[2], asked[3], asked[4], asked[5], ARGV[2 + position])
end
for _, name in ipairs(call('ZRANGEBYSCORE', root .. 'lapsing', '-inf', now, 'LIMIT', 0, 10 + 2 * #writes)) do
  forget(name:match('^(%Z+)%z(.*)$'))
end
return answers
