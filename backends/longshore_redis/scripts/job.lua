-- A job: its id is a field of the hash `jobs`; the value is the length of the head and of digest and notes (4 bytes
-- each), the head (a msgpack array of these fields), digest, notes, cursor, result, payload.
local STATE, QUEUE, TASK, PRIORITY, CREATED, DUE, CODEC, GENERATION, ATTEMPT, MAX_ATTEMPTS = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local CRASHES, MAX_CRASHES, SNOOZES, HOLDER, STARTED, ENDED, EXPIRES, SETTLED, SETTLED_BY = 11, 12, 13, 14, 15, 16, 17, 18, 19
local CANCEL_ASKED, AWAITED, RELEASES, UNIQUE_KEY, UNIQUE_HELD, UNIQUE_SCOPE, UNIQUE_UNTIL = 20, 21, 22, 23, 24, 25, 26
local GROUP, KEY, TURNS, TURN, PARENTS, LAX, IF_PARENT_FAILS, RESULT_CODEC, TRIES = 27, 28, 29, 30, 31, 32, 33, 34, 35
local DIGEST, NOTES, CURSOR, RESULT, PAYLOAD = 36, 37, 38, 39, 40 -- lengths, NONE for what is not there

-- The job's head and what stands behind it; nothing where there is no such job, or none that can be read.
local function load(id)
  examined = examined + 1
  local value = call('HGET', root .. 'jobs', id)
  if not value or #value < 8 then return end
  local length = struct.unpack('>I4', value)
  local read, _, job = pcall(cmsgpack.unpack_one, value, 8)
  if read and type(job) == 'table' and #job == PAYLOAD then return job, value:sub(9 + length) end
end

local function packed(job, tail)
  local head = cmsgpack.pack(job)
  return struct.pack('>I4I4', #head, job[DIGEST] + job[NOTES]) .. head .. tail
end

-- The pieces behind the head, by the position of their length in it.
local function pieces(job, tail)
  local found, at = {}, 1
  for piece = DIGEST, PAYLOAD do
    if job[piece] ~= NONE then
      found[piece] = tail:sub(at, at + job[piece] - 1)
      at = at + job[piece]
    end
  end
  return found
end

local function joined(job, found)
  local tail = {}
  for piece = DIGEST, PAYLOAD do
    job[piece] = found[piece] and #found[piece] or NONE
    tail[#tail + 1] = found[piece]
  end
  return table.concat(tail)
end
