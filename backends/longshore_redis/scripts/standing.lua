-- `standing`: where a job is found: sorted sets, tallies, slots. `stand` moves it from where it stood to where it stands now.

local START = 1
local PLAIN = {sets = NOTHING, waits = NOTHING}
standing.NOWHERE = {rest = PLAIN}

function standing.file(id, job, now)
  local priority = job.priority or 0
  if job.due <= now then
    store.add('ready:' .. job.queue, -priority, stored.place(job.due, id))
  else -- The priority stands before the id, so that the job need not be read when it becomes due.
    store.add('future:' .. job.queue, job.due, struct.pack('>h', priority) .. id)
  end
end

function standing.unfile(id, was)
  local member = stored.place(was.due, id)
  if call('ZREM', root .. 'ready:' .. was.queue, member) == 1 then return end
  if call('ZREM', root .. 'future:' .. was.queue, struct.pack('>h', was.priority) .. id) == 1 then return end
  local lane = root .. 'lane:' .. was.queue .. '\0' .. was.task
  if call('ZREM', lane, member) == 1 and call('EXISTS', lane) == 0 then
    call('SREM', root .. 'lanes:' .. was.queue, was.task)
  end
end

-- Where a job is found that has more than a queue and a task. Scripts ask `waits` while they change them.
function standing.rest_of(job)
  local state, created, key, group, parents = job.state, job.created, job.key, job.group, job.parents
  if not (key or group or parents or job.unique_key or job.expires or job.releases) then return PLAIN end
  local sets, waits = {}, {}
  if job.releases then sets.releasing = created end
  if job.expires and state <= PENDING then sets.overdue = job.expires end
  if group and state < SUCCEEDED then sets['open:' .. group] = created end
  if key and state < SUCCEEDED then sets['keyed:' .. key] = created end
  if key and state == WAITING then waits['wait:' .. key] = created end
  for _, parent in ipairs(parents or NOTHING) do
    sets['children:' .. parent] = created
    if state == WAITING then waits['blocked:' .. parent] = created end
  end
  return {
    sets = sets, waits = waits, unique = job.unique_held and job.unique_key, key = key, turn = key and job.turn,
    group = group and group .. '\0' .. state,
  }
end

-- Held jobs stay in the list of pending ones, so that a claim need not move them.
function standing.of(job)
  local state, queue, holder = job.state, job.queue, nil
  local list = state
  if state == RESERVED or state == RUNNING then holder, list = job.holder or '', PENDING end
  return {
    list = 'list:' .. queue .. '\0' .. list, created = job.created, ended = job.ended, holder = holder,
    counted = queue .. '\0' .. job.task .. '\0' .. state, rest = standing.rest_of(job),
    pending = state == PENDING, queue = queue, task = job.task, priority = job.priority or 0, due = job.due,
  }
end

function standing.stand_in_slot(id, hash, was, is)
  if was == is then return end
  if was and call('HGET', hash, was) == id then call('HDEL', hash, was) end
  if is then call('HSET', hash, is, id) end
end

function standing.recount(hash, was, is)
  if was == is then return end
  if was then store.tally(hash, was, -1) end
  if is then store.tally(hash, is, 1) end
end

function standing.stand_in_rest(id, was, is)
  for set, score in pairs(is.sets) do
    if was.sets[set] ~= score then store.add(set, score, id) end
  end
  for set in pairs(was.sets) do
    if not is.sets[set] then store.gather('ZREM', set, id) end
  end
  for set, score in pairs(is.waits) do
    if not was.waits[set] then call('ZADD', root .. set, score, id) end
  end
  for set in pairs(was.waits) do
    if not is.waits[set] then call('ZREM', root .. set, id) end
  end
  standing.stand_in_slot(id, root .. 'unique', was.unique, is.unique)
  standing.stand_in_slot(id, root .. 'turn:' .. (was.key or is.key or ''), was.turn, is.turn)
  standing.recount('tally:groups', was.group, is.group)
end

function standing.stand_in_sets(id, was, is)
  if was.list ~= is.list then
    if was.list then store.gather('ZREM', was.list, id) end
    if is.list then store.add(is.list, is.created, id) end
  end
  if was.ended ~= is.ended then
    if is.ended then store.add('ended', is.ended, id) else store.gather('ZREM', 'ended', id) end
  end
  if was.holder ~= is.holder then
    if was.holder then store.gather('SREM', 'held:' .. was.holder, id) end
    if is.holder then store.gather('SADD', 'held:' .. is.holder, id) end
    standing.recount('tally:holders', was.holder, is.holder)
  end
end

function standing.keeps_place(was, is)
  return is.pending and was.queue == is.queue and was.task == is.task and was.priority == is.priority and was.due == is.due
end

-- `job` is nil for one that is removed.
function standing.stand(id, was, job, now)
  local is = job and standing.of(job) or standing.NOWHERE
  standing.stand_in_sets(id, was, is)
  standing.recount('tally:jobs', was.counted, is.counted)
  if was.rest ~= PLAIN or is.rest ~= PLAIN then standing.stand_in_rest(id, was.rest, is.rest) end
  local stays = was.pending and standing.keeps_place(was, is)
  if was.pending and not stays then standing.unfile(id, was) end
  if is.pending and not stays then standing.file(id, job, now) end
end

function standing.keep(id, was, job, now)
  changed[id] = true
  standing.stand(id, was, job, now)
end

-- Takes a unique slot whose period has passed from its holder; answers who has it then.
function standing.unique_holder(key, now)
  local id = call('HGET', root .. 'unique', key)
  local job = id and stored.load(id)
  if not job then return end
  if not job.unique_until or job.unique_until > now then return id end
  local was = standing.of(job)
  job.unique_held = nil
  standing.keep(id, was, job, now)
end

-- Whether another job has this one's turn.
function standing.turn_is_taken(id, job)
  local holder = job.key and job.turn and call('HGET', root .. 'turn:' .. job.key, job.turn)
  return holder and holder ~= id
end

-- What comes with a state, before it is set.
function standing.enter(job, to, now)
  if to >= SUCCEEDED then
    job.ended, job.holder, job.turn = now, nil, nil
    if not (job.unique_until and job.unique_until > now) then job.unique_held = nil end
  elseif to == RUNNING or to == RESERVED then
    job.started = now
    if to == RUNNING and job.unique_scope == START then job.unique_held = nil end
  else
    job.ended, job.holder, job.result_codec, job.releases = nil, nil, nil, nil
  end
end

-- Whether waiting jobs name it as a parent, or wait for the turn that it has.
function standing.has_waiting(id, was)
  if was.rest.turn and call('EXISTS', root .. 'wait:' .. was.rest.key) == 1 then return true end
  return call('EXISTS', root .. 'blocked:' .. id) == 1
end
