-- Live records by their keys, or of a range of keys.
-- KEYS: the namespace's tag
-- ARGV: now | kind | keys in order, or '' | limit | least key | greatest key, both as ZRANGEBYLEX takes them
-- Answer: key, version and expiry of 8 bytes each before the value…
-- include store.lua
store.need_schema()
local now, kind, limit, found = store.time(), ARGV[2], tonumber(ARGV[4]), {}

local function add(key)
  local record = call('HGET', root .. 'rec:' .. kind, key)
  if not record then return end
  local expires = struct.unpack('>i8', record, 9)
  if expires ~= NONE and expires <= now then return end
  found[#found + 1] = key
  found[#found + 1] = record
end

local function add_range(least, greatest)
  while true do
    local keys = call('ZRANGEBYLEX', root .. 'keys:' .. kind, least, greatest, 'LIMIT', 0, limit)
    for _, key in ipairs(keys) do
      if #found == limit * 2 then return end
      add(key)
    end
    if #keys < limit or #found == limit * 2 then return end
    least = '(' .. keys[#keys]
  end
end

if limit > 0 and ARGV[3] == '' then
  add_range(ARGV[5], ARGV[6])
elseif limit > 0 then
  for _, key in ipairs(cmsgpack.unpack(ARGV[3])) do
    if #found < limit * 2 then add(key) end
  end
end
return found
