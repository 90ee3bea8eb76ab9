-- Claims, served in sequence. What a call has done so far is in `taking`.
local QUEUES, TASKS, MIN_PRIORITY, ONE, LIMIT, RESERVE = 1, 2, 3, 4, 5, 6
local MOST = 1000

-- Makes due jobs of a queue findable, earliest first.
local function promote(queue, taking)
  local future, ready = root .. 'future:' .. queue, root .. 'ready:' .. queue
  local room = MOST - taking.promoted
  if room <= 0 then return end
  local found = call('ZRANGEBYSCORE', future, '-inf', taking.now, 'WITHSCORES', 'LIMIT', 0, room)
  if #found == 0 then return end
  for at = 1, #found, 2 do
    local priority = struct.unpack('>h', found[at])
    call('ZADD', ready, -priority, place(tonumber(found[at + 1]), found[at]:sub(3)))
  end
  call('ZREMRANGEBYRANK', future, 0, #found / 2 - 1)
  taking.promoted = taking.promoted + #found / 2
end

-- The sorted sets in which jobs that this claim wants may stand.
local function sources(claim)
  local found = {}
  for _, queue in ipairs(claim[QUEUES]) do
    found[#found + 1] = {key = root .. 'ready:' .. queue, queue = queue}
    local lanes = root .. 'lanes:' .. queue
    if call('EXISTS', lanes) == 1 then
      for _, task in ipairs(claim[TASKS] or call('SMEMBERS', lanes)) do
        found[#found + 1] = {key = root .. 'lane:' .. queue .. '\0' .. task}
      end
    end
  end
  return found
end

local function earlier(one, other)
  if one.score ~= other.score then return one.score < other.score end
  return one.member < other.member
end

-- The first jobs of all sources together, in order.
local function heads(from, claim, most)
  local found = {}
  local highest = claim[MIN_PRIORITY] and -claim[MIN_PRIORITY] or '+inf'
  for _, source in ipairs(from) do
    local members = call('ZRANGEBYSCORE', source.key, '-inf', highest, 'WITHSCORES', 'LIMIT', 0, most)
    for at = 1, #members, 2 do
      found[#found + 1] = {member = members[at], score = tonumber(members[at + 1]), source = source}
    end
  end
  examined = examined + #found
  if #from > 1 then table.sort(found, earlier) end
  return found
end

local function set_aside(entry, task, taking)
  local queue = entry.source.queue
  call('ZREM', entry.source.key, entry.member)
  call('ZADD', root .. 'lane:' .. queue .. '\0' .. task, entry.score, entry.member)
  call('SADD', root .. 'lanes:' .. queue, task)
  taking.passed = taking.passed + 1
end

local function expire(id, job, tail, taking)
  local was = standing(job)
  enter(job, EXPIRED, taking.now)
  job[STATE] = EXPIRED
  job[RELEASES] = job[RELEASES] or has_waiting(id, was)
  store(id, was, job, tail, taking.now)
  taking.expired[#taking.expired + 1] = id
end

local function take(id, job, tail, claim, taking)
  local was = standing(job)
  local to = claim[RESERVE] and RESERVED or RUNNING
  enter(job, to, taking.now)
  job[STATE], job[HOLDER], job[GENERATION] = to, taking.holder, generation_after(job[GENERATION])
  if to == RUNNING then job[ATTEMPT] = job[ATTEMPT] + 1 end
  local value = packed(job, tail)
  call('HSET', root .. 'jobs', id, value)
  stand(id, was, job, taking.now)
  taking.bytes = taking.bytes + job[PAYLOAD]
  taking.left = taking.left - 1
  taking.jobs[#taking.jobs + 1] = id
  taking.jobs[#taking.jobs + 1] = value
end

-- Takes or expires one job; false where the call ends here. `claim.left` is what the claim itself may still take.
local function meet(id, job, tail, claim, taking)
  if job[EXPIRES] ~= NONE and job[EXPIRES] <= taking.now then
    if #taking.expired == MOST then
      taking.stopped = true
      return false
    end
    expire(id, job, tail, taking)
  elseif #taking.jobs == 0 or taking.max_bytes == NONE or taking.bytes + job[PAYLOAD] <= taking.max_bytes then
    take(id, job, tail, claim, taking)
    claim.left = claim.left - 1
  else
    return false
  end
  return true
end

local function serve_one(claim, taking)
  local id = claim[ONE]
  local job, tail = load(id)
  if not job or job[STATE] ~= PENDING or job[DUE] > taking.now then return end
  if claim[TASKS] and not claim.wanted[job[TASK]] then return end
  meet(id, job, tail, claim, taking)
end

-- False where the claim ends.
local function look_at(entry, claim, taking)
  local id = entry.member:sub(8)
  local job, tail = load(id)
  if not job then -- What cannot be read is not in the way of others.
    call('ZREM', entry.source.key, entry.member)
  elseif claim[TASKS] and not claim.wanted[job[TASK]] then
    set_aside(entry, job[TASK], taking)
  elseif not meet(id, job, tail, claim, taking) then
    return false
  end
  taking.stopped = taking.stopped or taking.passed >= MOST
  return not taking.stopped and claim.left > 0 and taking.left > 0
end

local function serve_queues(claim, taking)
  local from = sources(claim)
  while true do
    local most = math.min(math.max(math.min(claim.left, taking.left), 10), MOST)
    local found = heads(from, claim, most)
    for at = 1, math.min(most, #found) do
      if not look_at(found[at], claim, taking) then return end
    end
    if #found < most then return end
  end
end

local function serve(claim, taking)
  claim.left = math.min(claim[LIMIT] == NONE and taking.left or claim[LIMIT], taking.left)
  if claim.left <= 0 then return end
  claim.wanted = {}
  for _, task in ipairs(claim[TASKS] or {}) do claim.wanted[task] = true end
  if claim[ONE] ~= '' then serve_one(claim, taking) else serve_queues(claim, taking) end
end

-- How long it is until a job of these queues becomes due, NONE where none is stored.
local function next_due(claims, taking)
  if taking.stopped then return 0 end
  local soonest = NONE
  for _, claim in ipairs(claims) do
    for _, queue in ipairs(claim[QUEUES]) do
      local head = call('ZRANGE', root .. 'future:' .. queue, 0, 0, 'WITHSCORES')
      local due = head[2] and math.max(0, tonumber(head[2]) - taking.now)
      if due and (soonest == NONE or due < soonest) then soonest = due end
    end
  end
  return soonest
end

local function claim_all(asked, now)
  local taking = {
    now = now, holder = asked[2], left = asked[3], max_bytes = asked[4],
    jobs = {}, expired = {}, bytes = 0, promoted = 0, passed = 0, stopped = false,
  }
  for _, claim in ipairs(asked[1]) do
    for _, queue in ipairs(claim[QUEUES]) do promote(queue, taking) end
  end
  for _, claim in ipairs(asked[1]) do serve(claim, taking) end
  local due = #taking.jobs == 0 and next_due(asked[1], taking) or NONE
  return {taking.jobs, taking.expired, string.format('%.0f', due), examined}
end
