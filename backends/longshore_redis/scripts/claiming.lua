-- Claims, served in sequence. What a call has done so far is in `taking`.
local MOST = 1000
local claiming = {}

-- Makes due jobs of a queue findable, earliest first.
function claiming.promote(queue, taking)
  local future, room = root .. 'future:' .. queue, MOST - taking.promoted
  if room <= 0 then return end
  local found = call('ZRANGEBYSCORE', future, '-inf', taking.now, 'WITHSCORES', 'LIMIT', 0, room)
  if #found == 0 then return end
  for at = 1, #found, 2 do
    local priority, due = struct.unpack('>h', found[at]), tonumber(found[at + 1])
    store.add('ready:' .. queue, -priority, stored.place(due, found[at]:sub(3)))
  end
  call('ZREMRANGEBYRANK', future, 0, #found / 2 - 1)
  taking.promoted = taking.promoted + #found / 2
end

-- The tasks that this claim wants and of which jobs of a queue were put aside.
function claiming.lanes_of(queue, claim)
  local lanes, found = root .. 'lanes:' .. queue, {}
  if call('EXISTS', lanes) == 0 or claim.tasks and #claim.tasks == 0 then return found end
  if not claim.tasks then return call('SMEMBERS', lanes) end
  for at, is_there in ipairs(call('SMISMEMBER', lanes, unpack(claim.tasks))) do
    if is_there == 1 then found[#found + 1] = claim.tasks[at] end
  end
  return found
end

-- The sorted sets in which jobs that this claim wants may stand.
function claiming.sources(claim)
  local found = {}
  for _, queue in ipairs(claim.queues) do
    found[#found + 1] = {key = root .. 'ready:' .. queue, queue = queue, met = 0}
    for _, task in ipairs(claiming.lanes_of(queue, claim)) do
      found[#found + 1] = {key = root .. 'lane:' .. queue .. '\0' .. task, queue = queue, task = task, met = 0}
    end
  end
  return found
end

function claiming.earlier(one, other)
  if one.score ~= other.score then return one.score < other.score end
  return store.is_before(one.member, other.member)
end

-- The first jobs of all sources together, in order. A score costs more than all else, so it is read only to compare.
function claiming.heads(from, claim, most)
  local found, ids = {}, {}
  local highest, step = claim.min_priority and -claim.min_priority or '+inf', #from > 1 and 2 or 1
  local rest = step == 2 and {'WITHSCORES', 'LIMIT', 0, most} or {'LIMIT', 0, most}
  for _, source in ipairs(from) do
    local members = call('ZRANGEBYSCORE', source.key, '-inf', highest, unpack(rest))
    for at = 1, #members, step do
      found[#found + 1] = {member = members[at], score = step == 2 and tonumber(members[at + 1]), source = source}
    end
  end
  store.examined = store.examined + #found
  if step == 2 then table.sort(found, claiming.earlier) end
  for at = 1, math.min(most, #found) do ids[at] = found[at].member:sub(8) end
  stored.read_all(ids)
  return found, ids
end

function claiming.expire(id, job, was, taking)
  standing.enter(job, EXPIRED, taking.now)
  job.state = EXPIRED
  if standing.has_waiting(id, was) then job.releases = true end
  taking.expired[#taking.expired + 1] = id
end

function claiming.take(id, job, claim, taking)
  local to = claim.reserve and RESERVED or RUNNING
  if job.unique_key then standing.enter(job, to, taking.now) end
  job.started, job.state, job.holder, job.generation = taking.now, to, taking.holder, history.generation_after(job.generation or 0)
  if to == RUNNING then job.attempt = (job.attempt or 0) + 1 end
  taking.bytes = taking.bytes + stored.payload_length(id, job)
  taking.jobs[#taking.jobs + 1] = id
  claim.left = claim.left - 1
end

-- Takes or expires one job; false where the call ends here. `claim.left` is what the claim itself may still take.
function claiming.meet(id, job, claim, taking, is_filed)
  local is_plain = not is_filed and plain.is(job)
  local was = not is_plain and standing.of(job)
  if was then was.pending = is_filed end
  if job.expires and job.expires <= taking.now then
    taking.stopped = #taking.expired == MOST
    if taking.stopped then return false end
    claiming.expire(id, job, was, taking)
  elseif #taking.jobs == 0 or not taking.max_bytes or taking.bytes + stored.payload_length(id, job) <= taking.max_bytes then
    claiming.take(id, job, claim, taking)
  else
    return false
  end
  if is_plain then plain.hold(id, job) else standing.keep(id, was, job, taking.now) end
  return true
end

function claiming.serve_one(claim, taking)
  local job = stored.load(claim.id)
  if not job or job.state ~= PENDING or job.due > taking.now then return end
  if claim.wanted and not claim.wanted[job.task] then return end
  claiming.meet(claim.id, job, claim, taking, true)
end

function claiming.set_aside(entry, job, taking)
  store.add('lane:' .. job.queue .. '\0' .. job.task, -(job.priority or 0), entry.member)
  call('SADD', root .. 'lanes:' .. job.queue, job.task)
  taking.passed = taking.passed + 1
end

-- False where the claim ends. What cannot be read is not in the way of others.
function claiming.look_at(entry, id, claim, taking)
  local job = stored.load(id)
  if job and claim.wanted and not claim.wanted[job.task] then
    claiming.set_aside(entry, job, taking)
  elseif job and not claiming.meet(id, job, claim, taking, false) then
    return false
  end
  entry.source.met = entry.source.met + 1
  taking.stopped = taking.stopped or taking.passed >= MOST
  return not taking.stopped and claim.left > 0
end

-- What was met is gone from the front of its sets.
function claiming.leave(from)
  for _, source in ipairs(from) do
    if source.met > 0 then call('ZREMRANGEBYRANK', source.key, 0, source.met - 1) end
    if source.task and call('EXISTS', source.key) == 0 then call('SREM', root .. 'lanes:' .. source.queue, source.task) end
  end
  stored.write()
end

function claiming.serve_queues(claim, taking)
  local goes_on = true
  while goes_on do
    local from, most = claiming.sources(claim), math.min(math.max(claim.left, 10), MOST)
    local found, ids = claiming.heads(from, claim, most)
    for at = 1, #ids do
      goes_on = goes_on and claiming.look_at(found[at], ids[at], claim, taking)
    end
    claiming.leave(from)
    goes_on = goes_on and #found >= most
  end
end

function claiming.serve(claim, taking)
  claim.left = math.min(claim.limit or taking.limit, taking.limit - #taking.jobs)
  if claim.left <= 0 or taking.stopped then return end
  if claim.tasks then
    claim.wanted = {}
    for _, task in ipairs(claim.tasks) do claim.wanted[task] = true end
  end
  if claim.id then claiming.serve_one(claim, taking) else claiming.serve_queues(claim, taking) end
end

-- How long it is until a job of these queues becomes due, -1 where none is stored.
function claiming.next_due(claims, taking)
  local soonest = taking.stopped and 0 or -1
  for _, claim in ipairs(claims) do
    for _, queue in ipairs(claim.queues) do
      local head = call('ZRANGE', root .. 'future:' .. queue, 0, 0, 'WITHSCORES')
      local due = head[2] and math.max(0, tonumber(head[2]) - taking.now)
      if due and (soonest == -1 or due < soonest) then soonest = due end
    end
  end
  return soonest
end

function claiming.claim_all(asked, now)
  local taking = {
    now = now, holder = asked.holder, limit = asked.limit, max_bytes = asked.max_bytes,
    jobs = {}, expired = {}, bytes = 0, promoted = 0, passed = 0, stopped = false,
  }
  for _, claim in ipairs(asked.claims) do
    for _, queue in ipairs(claim.queues) do claiming.promote(queue, taking) end
  end
  store.write()
  for _, claim in ipairs(asked.claims) do claiming.serve(claim, taking) end
  stored.write()
  local due, answered = #taking.jobs == 0 and claiming.next_due(asked.claims, taking) or -1, {}
  for _, id in ipairs(taking.jobs) do
    answered[#answered + 1] = id
    answered[#answered + 1] = values[id]
  end
  return {answered, taking.expired, string.format('%.0f', due), store.examined}
end
