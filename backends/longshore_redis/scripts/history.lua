-- Generations and versions that no other history of these data has handed out.
-- A server that was restarted or promoted may have forgotten what was answered before. That it has begun a history of its
-- own is seen by its replication id; what it hands out then lies above all that the history before can have reached: a
-- million for each second since 2026.
local FIRST, EACH = 1767225600, 1000000
local history = {}

function history.begin(id, was, floor)
  if was then floor = math.max(floor + EACH, (call('TIME')[1] - FIRST) * EACH) end
  local text = string.format('%.0f', floor)
  call('HSET', root .. 'meta', 'history', id, 'floor', text)
  if tonumber(call('GET', root .. 'version') or 0) < floor then call('SET', root .. 'version', text) end
  return floor
end

-- What generations and versions of this history are above.
function history.floor()
  if not history.known then
    local id, was = call('INFO', 'replication'):match('master_replid:(%x+)'), store.meta[2]
    local floor = tonumber(store.meta[3] or 0)
    history.known = was == id and floor or history.begin(id, was, floor)
  end
  return history.known
end

function history.generation_after(generation) return math.max(generation, history.floor()) + 1 end

function history.next_version()
  history.floor()
  return call('INCR', root .. 'version')
end
