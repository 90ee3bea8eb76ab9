-- Where a job is found: sorted sets, tallies, slots. `stand` moves it from where it stood to where it stands now.

-- Seven bytes whose order is that of the due times; the id behind them decides between equal ones.
local function place(due, id)
  return struct.pack('>I8', math.max(due, 0)):sub(2) .. id
end

local function file(id, job, now)
  local priority = job.priority or 0
  if job.due <= now then
    add('ready:' .. job.queue, -priority, place(job.due, id))
  else -- The priority stands before the id, so that the job need not be read when it becomes due.
    add('future:' .. job.queue, job.due, struct.pack('>h', priority) .. id)
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

local NONE = {}
local PLAIN = {sets = NONE, waits = NONE}
local NOWHERE = {rest = PLAIN}

-- Where a job is found that has more than a queue and a task. Scripts ask `waits` while they change them.
local function rest_of(job)
  local state, created, key, group, parents = job.state, job.created, job.key, job.group, job.parents
  if not (key or group or parents or job.unique_key or job.expires or job.releases) then return PLAIN end
  local sets, waits = {}, {}
  if job.releases then sets.releasing = created end
  if job.expires and state <= PENDING then sets.overdue = job.expires end
  if group and state < SUCCEEDED then sets['open:' .. group] = created end
  if key and state < SUCCEEDED then sets['keyed:' .. key] = created end
  if key and state == WAITING then waits['wait:' .. key] = created end
  for _, parent in ipairs(parents or NONE) do
    sets['children:' .. parent] = created
    if state == WAITING then waits['blocked:' .. parent] = created end
  end
  return {
    sets = sets, waits = waits, unique = job.unique_held and job.unique_key, key = key, turn = key and job.turn,
    group = group and group .. '\0' .. state,
  }
end

-- Held jobs stay in the list of pending ones, so that a claim need not move them.
local function standing(job)
  local state, queue, holder = job.state, job.queue, nil
  local list = state
  if state == RESERVED or state == RUNNING then holder, list = job.holder or '', PENDING end
  return {
    list = 'list:' .. queue .. '\0' .. list, created = job.created, ended = job.ended, holder = holder,
    counted = queue .. '\0' .. job.task .. '\0' .. state, rest = rest_of(job),
    pending = state == PENDING, queue = queue, task = job.task, priority = job.priority or 0, due = job.due,
  }
end

local function stand_in_slot(id, hash, was, is)
  if was == is then return end
  if was and call('HGET', hash, was) == id then call('HDEL', hash, was) end
  if is then call('HSET', hash, is, id) end
end

local function recount(hash, was, is)
  if was == is then return end
  if was then tally(hash, was, -1) end
  if is then tally(hash, is, 1) end
end

local function stand_in_rest(id, was, is)
  for set, score in pairs(is.sets) do
    if was.sets[set] ~= score then add(set, score, id) end
  end
  for set in pairs(was.sets) do
    if not is.sets[set] then gather('ZREM', set, id) end
  end
  for set, score in pairs(is.waits) do
    if not was.waits[set] then call('ZADD', root .. set, score, id) end
  end
  for set in pairs(was.waits) do
    if not is.waits[set] then call('ZREM', root .. set, id) end
  end
  stand_in_slot(id, root .. 'unique', was.unique, is.unique)
  stand_in_slot(id, root .. 'turn:' .. (was.key or is.key or ''), was.turn, is.turn)
  recount('tally:groups', was.group, is.group)
end

local function stand_in_sets(id, was, is)
  if was.list ~= is.list then
    if was.list then gather('ZREM', was.list, id) end
    if is.list then add(is.list, is.created, id) end
  end
  if was.ended ~= is.ended then
    if is.ended then add('ended', is.ended, id) else gather('ZREM', 'ended', id) end
  end
  if was.holder ~= is.holder then
    if was.holder then gather('SREM', 'held:' .. was.holder, id) end
    if is.holder then gather('SADD', 'held:' .. is.holder, id) end
    recount('tally:holders', was.holder, is.holder)
  end
end

local function keeps_place(was, is)
  return is.pending and was.queue == is.queue and was.task == is.task and was.priority == is.priority and was.due == is.due
end

-- `job` is nil for one that is removed.
local function stand(id, was, job, now)
  local is = job and standing(job) or NOWHERE
  stand_in_sets(id, was, is)
  recount('tally:jobs', was.counted, is.counted)
  if was.rest ~= PLAIN or is.rest ~= PLAIN then stand_in_rest(id, was.rest, is.rest) end
  local stays = was.pending and keeps_place(was, is)
  if was.pending and not stays then unfile(id, was) end
  if is.pending and not stays then file(id, job, now) end
end

local function store(id, was, job, now)
  changed[id] = true
  stand(id, was, job, now)
end

-- Takes a unique slot whose period has passed from its holder; answers who has it then.
local function unique_holder(key, now)
  local id = call('HGET', root .. 'unique', key)
  local job = id and load(id)
  if not job then return end
  if not job.unique_until or job.unique_until > now then return id end
  local was = standing(job)
  job.unique_held = nil
  store(id, was, job, now)
end

-- Whether another job has this one's turn.
local function turn_is_taken(id, job)
  local holder = job.key and job.turn and call('HGET', root .. 'turn:' .. job.key, job.turn)
  return holder and holder ~= id
end
