-- Generations and versions that no other history of these data has handed out.
-- A server that was restarted or promoted may have forgotten what was answered before. That it has begun a history of its
-- own is seen by its replication id; what it hands out then lies above all that the history before can have reached: a
-- million for each second since 2026.
local FIRST, EACH = 1767225600, 1000000
local floor

local function number_text(number) return string.format('%.0f', number) end

local function begin_history(id, was)
  floor = was and math.max(floor + EACH, (call('TIME')[1] - FIRST) * EACH) or floor
  call('HSET', root .. 'meta', 'history', id, 'floor', number_text(floor))
  if tonumber(call('GET', root .. 'version') or 0) < floor then call('SET', root .. 'version', number_text(floor)) end
end

-- What generations and versions of this history are above.
local function history_floor()
  if not floor then
    local id = call('INFO', 'replication'):match('master_replid:(%x+)')
    local known = call('HMGET', root .. 'meta', 'history', 'floor')
    floor = tonumber(known[2] or 0)
    if known[1] ~= id then begin_history(id, known[1]) end
  end
  return floor
end

local function generation_after(generation) return math.max(generation, history_floor()) + 1 end

local function next_version()
  history_floor()
  return call('INCR', root .. 'version')
end
