-- Where a job is found: sorted sets, tallies, slots. `stand` moves it from where it stood to where it stands now.
local tallies = {}

local function tally(hash, field, more)
  local counts = tallies[hash] or {}
  tallies[hash] = counts
  counts[field] = (counts[field] or 0) + more
end

-- Writes what was counted; each script ends with it.
local function write_tallies()
  for hash, counts in pairs(tallies) do
    for field, more in pairs(counts) do
      if more ~= 0 and call('HINCRBY', root .. hash, field, more) == 0 then call('HDEL', root .. hash, field) end
    end
  end
end

-- Seven bytes whose order is that of the due times; the id behind them decides between equal ones.
local function place(due, id)
  return struct.pack('>I8', math.max(due, 0)):sub(2) .. id
end

local function file(id, job, now)
  if job[DUE] <= now then
    call('ZADD', root .. 'ready:' .. job[QUEUE], -job[PRIORITY], place(job[DUE], id))
  else -- The priority stands before the id, so that the job need not be read when it becomes due.
    call('ZADD', root .. 'future:' .. job[QUEUE], job[DUE], struct.pack('>h', job[PRIORITY]) .. id)
  end
end

local function unfile(id, was)
  local member = place(was.due, id)
  if call('ZREM', root .. 'ready:' .. was.queue, member) == 1 then return end
  if call('ZREM', root .. 'future:' .. was.queue, struct.pack('>h', was.priority) .. id) == 1 then return end
  local lane = root .. 'lane:' .. was.queue .. '\0' .. was.task
  if call('ZREM', lane, member) == 1 and call('EXISTS', lane) == 0 then
    call('SREM', root .. 'lanes:' .. was.queue, was.task)
  end
end

local function sets_of(job)
  local state, created = job[STATE], job[CREATED]
  local sets = {[root .. 'list:' .. job[QUEUE] .. '\0' .. state] = created}
  if state == RESERVED or state == RUNNING then sets[root .. 'held:' .. job[HOLDER]] = created end
  if job[ENDED] ~= NONE then sets[root .. 'ended'] = job[ENDED] end
  if state <= PENDING and job[EXPIRES] ~= NONE then sets[root .. 'overdue'] = job[EXPIRES] end
  if job[RELEASES] then sets[root .. 'releasing'] = created end
  if state < SUCCEEDED and job[GROUP] ~= '' then sets[root .. 'open:' .. job[GROUP]] = created end
  if state < SUCCEEDED and job[KEY] ~= '' then sets[root .. 'keyed:' .. job[KEY]] = created end
  if state == WAITING and job[KEY] ~= '' then sets[root .. 'wait:' .. job[KEY]] = created end
  for _, parent in ipairs(job[PARENTS]) do
    sets[root .. 'kids:' .. parent] = state == WAITING and 0 or state < SUCCEEDED and 1 or 2
  end
  return sets
end

local function standing(job)
  local state = job[STATE]
  local held = state == RESERVED or state == RUNNING
  return {
    sets = sets_of(job),
    jobs = job[QUEUE] .. '\0' .. job[TASK] .. '\0' .. state,
    groups = job[GROUP] ~= '' and job[GROUP] .. '\0' .. state or nil,
    holders = held and job[HOLDER] or nil,
    unique = job[UNIQUE_HELD] and job[UNIQUE_KEY] ~= '' and job[UNIQUE_KEY] or nil,
    key = job[KEY], turn = job[KEY] ~= '' and job[TURN] ~= NONE and job[TURN] or nil,
    pending = state == PENDING,
    queue = job[QUEUE], task = job[TASK], priority = job[PRIORITY], due = job[DUE],
  }
end

local NOWHERE = {sets = {}}

local function keeps_place(was, is)
  return is.pending and was.queue == is.queue and was.task == is.task and was.priority == is.priority and was.due == is.due
end

local function stand_in_sets(id, was, is)
  for set in pairs(was.sets) do
    if not is.sets[set] then call('ZREM', set, id) end
  end
  for set, score in pairs(is.sets) do
    if was.sets[set] ~= score then call('ZADD', set, score, id) end
  end
end

local function stand_in_slots(id, was, is)
  if was.unique and was.unique ~= is.unique and call('HGET', root .. 'unique', was.unique) == id then
    call('HDEL', root .. 'unique', was.unique)
  end
  if is.unique and was.unique ~= is.unique then call('HSET', root .. 'unique', is.unique, id) end
  if was.turn and was.turn ~= is.turn and call('HGET', root .. 'turn:' .. was.key, was.turn) == id then
    call('HDEL', root .. 'turn:' .. was.key, was.turn)
  end
  if is.turn and was.turn ~= is.turn then call('HSET', root .. 'turn:' .. is.key, is.turn, id) end
end

-- `job` is nil for one that is removed.
local function stand(id, was, job, now)
  local is = job and standing(job) or NOWHERE
  stand_in_sets(id, was, is)
  stand_in_slots(id, was, is)
  for _, hash in ipairs({'jobs', 'groups', 'holders'}) do
    if was[hash] ~= is[hash] then
      if was[hash] then tally('tally:' .. hash, was[hash], -1) end
      if is[hash] then tally('tally:' .. hash, is[hash], 1) end
    end
  end
  local stays = was.pending and keeps_place(was, is)
  if was.pending and not stays then unfile(id, was) end
  if is.pending and not stays then file(id, job, now) end
end

local function store(id, was, job, tail, now)
  call('HSET', root .. 'jobs', id, packed(job, tail))
  stand(id, was, job, now)
end

-- Takes a unique slot whose period has passed from its holder; answers who has it then.
local function unique_holder(key, now)
  local id = call('HGET', root .. 'unique', key)
  if not id then return end
  local job, tail = load(id)
  if not job then return end
  if job[UNIQUE_UNTIL] == NONE or job[UNIQUE_UNTIL] > now then return id end
  local was = standing(job)
  job[UNIQUE_HELD] = false
  store(id, was, job, tail, now)
end

-- Whether another job has this one's turn.
local function turn_is_taken(id, job)
  if job[KEY] == '' or job[TURN] == NONE then return false end
  local holder = call('HGET', root .. 'turn:' .. job[KEY], job[TURN])
  return holder and holder ~= id
end
