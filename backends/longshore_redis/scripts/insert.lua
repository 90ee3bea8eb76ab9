-- Stores new jobs, and restores whole ones.
-- KEYS: the namespace's tag
-- ARGV: now | how many jobs | per job: its id, head, what stands behind it … attempts of those that have some …
-- A new job's head has the fields of `NewJob`; one that is restored has a state, and how many attempts are given.
-- Answer: per job its state, or {state, task, digest} of the one with this id, or {who has its slot, or ''}
-- include store.lua job.lua plain.lua
-- include when used standing.lua
store.need_schema()
local PERIOD = 3
local now, count, answers, woken, ids = store.time(), tonumber(ARGV[2]), {}, {}, {}
local next_attempt = 3 + 3 * count

local function free_turn(job)
  if call('EXISTS', root .. 'wait:' .. job.key) == 1 then return end
  for turn = 0, (job.turns or 1) - 1 do
    if call('HEXISTS', root .. 'turn:' .. job.key, turn) == 0 then return turn end
  end
end

local function bear(job, position)
  job.state, job.created = job.waiting and WAITING or PENDING, now + position - 1
  job.due = job.due or now + (job.delay or 0)
  job.expires = job.expires or job.expires_in and now + job.expires_in
  if job.unique_key then
    job.unique_held = true
    if job.unique_scope == PERIOD then job.unique_until = now + (job.unique_for or 0) end
  end
  job.waiting, job.delay, job.expires_in, job.unique_for = nil, nil, nil, nil
end

local function take_turn(job)
  job.turn = free_turn(job)
  if not job.turn then job.state = WAITING end
end

local function insert(id, job, tail, position)
  local stored, is_new = jobs[id], not job.state
  if stored == UNREADABLE then return {PENDING, '', ''} end
  if stored then return {stored.state, stored.task, tails[id]:sub(1, stored.digest or 0)} end
  if is_new then bear(job, position) end
  if is_new and job.state == PENDING and job.due <= now and plain.is(job) then
    jobs[id], tails[id] = job, tail
    plain.arrive(id, job)
    woken[job.queue] = true
    return PENDING
  end
  local holder = job.unique_held and job.unique_key and standing.unique_holder(job.unique_key, now)
  if holder then return {holder} end
  if standing.turn_is_taken(id, job) then return {''} end
  if is_new and job.key and job.state == PENDING then take_turn(job) end
  jobs[id], tails[id] = job, tail
  standing.keep(id, standing.NOWHERE, job, now)
  if job.state == PENDING then woken[job.queue] = true end
  return job.state
end

for position = 1, count do ids[position] = ARGV[position * 3] end
stored.read_all(ids)
for position = 1, count do
  local at = position * 3
  local id, job = ARGV[at], cmsgpack.unpack(ARGV[at + 1])
  local attempts = job.attempts or 0
  job.attempts = nil
  answers[position] = insert(id, job, ARGV[at + 2], position)
  if type(answers[position]) == 'number' then
    for record = next_attempt, next_attempt + attempts - 1 do call('RPUSH', root .. 'tries:' .. id, ARGV[record]) end
  end
  next_attempt = next_attempt + attempts
end
stored.write()
for queue in pairs(woken) do call('PUBLISH', root .. 'wake:queue:' .. queue, '') end
return answers
