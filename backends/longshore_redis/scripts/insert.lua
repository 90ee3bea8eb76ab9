-- Stores new jobs, and restores whole ones.
-- KEYS: the namespace's tag
-- ARGV: now | asked | per job: its id, head, what stands behind it … attempts …
-- asked: per job 1 if it is new, and 2, 4, 8 if due, expires, unique_until are durations; per restored job with
--        attempts: its position, those of its first and last attempt
-- Answer: per job its state, or {state, task, digest} of the one with this id, or {who has its slot, or ''}
-- include store.lua job.lua standing.lua
need_schema()
local now, asked, answers, woken = time(), cmsgpack.unpack(ARGV[2]), {}, {}

local function free_turn(job)
  if call('EXISTS', root .. 'wait:' .. job[KEY]) == 1 then return NONE end
  for turn = 0, job[TURNS] - 1 do
    if call('HEXISTS', root .. 'turn:' .. job[KEY], turn) == 0 then return turn end
  end
  return NONE
end

local function date(job, kind, position)
  job[CREATED] = now + position - 1
  if bit.band(kind, 2) ~= 0 then job[DUE] = job[DUE] + now end
  if bit.band(kind, 4) ~= 0 then job[EXPIRES] = job[EXPIRES] + now end
  if bit.band(kind, 8) ~= 0 then job[UNIQUE_UNTIL] = job[UNIQUE_UNTIL] + now end
end

local function insert(id, job, tail, kind, position)
  local stored, behind = load(id)
  if stored then return {stored[STATE], stored[TASK], behind:sub(1, stored[DIGEST])} end
  if call('HEXISTS', root .. 'jobs', id) == 1 then return {PENDING, '', ''} end
  local is_new = bit.band(kind, 1) ~= 0
  if is_new then date(job, kind, position) end
  local holder = job[UNIQUE_HELD] and job[UNIQUE_KEY] ~= '' and unique_holder(job[UNIQUE_KEY], now)
  if holder then return {holder} end
  if turn_is_taken(id, job) then return {''} end
  if is_new and job[KEY] ~= '' and job[STATE] == PENDING then
    job[TURN] = free_turn(job)
    if job[TURN] == NONE then job[STATE] = WAITING end
  end
  store(id, NOWHERE, job, tail, now)
  if job[STATE] == PENDING then woken[job[QUEUE]] = true end
  return job[STATE]
end

for position, kind in ipairs(asked[1]) do
  local at = position * 3
  answers[position] = insert(ARGV[at], cmsgpack.unpack(ARGV[at + 1]), ARGV[at + 2], kind, position)
end
for at = 1, #asked[2], 3 do
  local position = asked[2][at]
  if type(answers[position]) == 'number' then
    for record = asked[2][at + 1], asked[2][at + 2] do call('RPUSH', root .. 'tries:' .. ARGV[position * 3], ARGV[record]) end
  end
end
write_tallies()
for queue in pairs(woken) do call('PUBLISH', root .. 'wake:queue:' .. queue, '') end
return answers
