-- One change of one job, as `longshore.reference` says it.
local START = 1
local MOVED, REPEATED, REFUSED, HELD = 1, 2, 3, 4
local KEPT = 20

local function copy(values)
  local copied = {}
  for name, value in pairs(values) do copied[name] = value end
  return copied
end

-- What comes with a state, before it is set.
local function enter(job, to, now)
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
local function has_waiting(id, was)
  if was.rest.turn and call('EXISTS', root .. 'wait:' .. was.rest.key) == 1 then return true end
  return call('EXISTS', root .. 'blocked:' .. id) == 1
end

local function guards_hold(job, change)
  return (not change.states or bit.band(change.states, bit.lshift(1, job.state)) ~= 0)
    and (not change.generation or change.generation == (job.generation or 0))
    and (not change.holder or change.holder == job.holder)
    and (change.cancel_asked == nil or change.cancel_asked == (job.cancel_asked or false))
end

local function was_made(job, change)
  if change.settles then
    return job.settled ~= nil and job.settled == change.generation and job.settled_by == change.holder
  end
  return change.to == job.state and change.holder ~= nil and change.holder == job.holder
    and change.generation == (job.generation or 0)
end

-- Notes are JSON texts; an empty one is to be removed.
local function merge(job, more)
  local notes = {}
  for name, text in pairs(job.notes or NONE) do notes[name] = text ~= 'null' and text or nil end
  for name, text in pairs(more) do notes[name] = text ~= '' and text or nil end
  job.notes = next(notes) and notes or nil
end

local function change_pieces(id, job, change)
  local pieces = {}
  for name, at in pairs(change.pieces or NONE) do pieces[name] = at and ARGV[at] end
  if pieces.result == nil and (change.to == WAITING or change.to == PENDING) and job.result then pieces.result = false end
  if next(pieces) ~= nil then replace_pieces(id, job, pieces) end
end

local function set_fields(job, change, now)
  for name, value in pairs(change.fields or NONE) do job[name] = value end
  for _, name in ipairs(change.unset or NONE) do job[name] = nil end
  if change.notes then merge(job, change.notes) end
  if change.delay then job.due = now + change.delay end
  if change.settles then job.settled, job.settled_by = change.generation, change.holder end
  if change.renews then job.generation = generation_after(job.generation or 0) end
  if change.record then job.tries = (job.tries or 0) + 1 end
  if change.to then job.state = change.to end
  if not job.unique_key then job.unique_held = nil end
end

local function is_taken_by_another(id, job, change, now)
  if change.takes_unique and job.unique_held then
    local holder = unique_holder(job.unique_key, now)
    if holder and holder ~= id then return true end
  end
  return change.takes_turn and turn_is_taken(id, job)
end

local function answer(outcome, job)
  local releases = job.releases and job.state >= SUCCEEDED or false
  return {outcome, job.state, job.generation or 0, job.cancel_asked or false, job.awaited or false, releases}
end

local function remember(id, record)
  call('RPUSH', root .. 'tries:' .. id, record)
  call('LTRIM', root .. 'tries:' .. id, -KEPT, -1)
end

local function apply(change, now)
  local id, to = change.id, change.to
  local job, tail = load(id), tails[id]
  if not job then return {REFUSED, 0, 0, false, false, false} end
  if not guards_hold(job, change) then return answer(was_made(job, change) and REPEATED or REFUSED, job) end
  local was, before, ends = standing(job), job, to and to >= SUCCEEDED and job.state < SUCCEEDED
  if change.takes_unique or change.takes_turn then job = copy(job) end
  if to then enter(job, to, now) end
  change_pieces(id, job, change)
  set_fields(job, change, now)
  if is_taken_by_another(id, job, change, now) then
    tails[id] = tail
    return answer(HELD, before)
  end
  if ends and has_waiting(id, was) then job.releases = true end
  if change.record then remember(id, ARGV[change.record]) end
  jobs[id] = job
  store(id, was, job, now)
  return answer(MOVED, job)
end

-- First those that take no slot, then the others, each in the order given.
local function update(changes, now)
  local answers, ids = {}, {}
  for position, change in ipairs(changes) do ids[position] = change.id end
  read_all(ids)
  for _, takes in ipairs({false, true}) do
    for position, change in ipairs(changes) do
      if (change.takes_unique or change.takes_turn or false) == takes then answers[position] = apply(change, now) end
    end
  end
  write_jobs()
  return cmsgpack.pack(answers)
end
