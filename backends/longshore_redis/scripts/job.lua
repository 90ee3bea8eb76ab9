-- A job: its id is a field of the hash `jobs`. The value is the length of the head in 4 bytes; the head, a msgpack map of
-- the fields of `StoredJob` that have another value than its default; digest, cursor, result and payload. Of the first
-- three of these the head holds the lengths. Jobs are read and written once by a script, and changed in between.
local jobs, tails, changed, values = {}, {}, {}, {}
local UNREADABLE = {}
local stored = {}
local PIECES = {'digest', 'cursor', 'result'}

function stored.unpacked(value)
  local length = struct.unpack('>I4', value)
  return cmsgpack.unpack(value:sub(5, 4 + length)), length
end

function stored.read(id, value)
  store.examined = store.examined + 1
  if not value then return end
  jobs[id], values[id] = UNREADABLE, value
  local is_read, job, length = pcall(stored.unpacked, value)
  if is_read and type(job) == 'table' and job.created and job.due then
    jobs[id], tails[id] = job, value:sub(5 + length)
  end
end

-- Reads many jobs at once; afterwards `jobs` has those that there are.
function stored.read_all(ids)
  for first = 1, #ids, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #ids)
    local found = call('HMGET', root .. 'jobs', unpack(ids, first, last))
    for at = first, last do
      if not jobs[ids[at]] then stored.read(ids[at], found[at - first + 1]) end
    end
  end
end

-- Nothing where there is no such job, or none that can be read.
function stored.load(id)
  if not jobs[id] then stored.read(id, call('HGET', root .. 'jobs', id)) end
  return jobs[id] ~= UNREADABLE and jobs[id] or nil
end

function stored.payload_length(id, job)
  return #tails[id] - (job.digest or 0) - (job.cursor or 0) - (job.result or 0)
end

-- Seven bytes whose order is that of the due times; the id behind them decides between equal ones.
function stored.place(due, id)
  return struct.pack('>I8', math.max(due, 0)):sub(2) .. id
end

-- Puts other bytes in place of some of the pieces behind the head; false removes one.
function stored.replace_pieces(id, job, others)
  local tail, at, kept = tails[id], 1, {}
  for _, piece in ipairs(PIECES) do
    local length = job[piece] or 0
    if others[piece] == nil then
      kept[#kept + 1] = tail:sub(at, at + length - 1)
    else
      kept[#kept + 1] = others[piece] or ''
      job[piece] = others[piece] and #others[piece] or nil
    end
    at = at + length
  end
  kept[#kept + 1] = others.payload or tail:sub(at)
  tails[id] = table.concat(kept)
end

-- Writes the jobs that changed.
function stored.write()
  if next(changed) == nil then return store.write() end
  local written = {}
  for id in pairs(changed) do
    local head = cmsgpack.pack(jobs[id])
    local value = struct.pack('>I4', #head) .. head .. tails[id]
    values[id] = value
    written[#written + 1] = id
    written[#written + 1] = value
  end
  store.in_pieces('HSET', 'jobs', written)
  changed = {}
  store.write()
end
