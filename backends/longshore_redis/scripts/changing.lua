-- One change of one job, as `longshore.reference` says it.
local MOVED, REPEATED, REFUSED, HELD = 1, 2, 3, 4
local KEPT = 20
local changing = {}

function changing.copy(values)
  local copied = {}
  for name, value in pairs(values) do copied[name] = value end
  return copied
end

function changing.guards_hold(job, change)
  return (not change.states or bit.band(change.states, bit.lshift(1, job.state)) ~= 0)
    and (not change.generation or change.generation == (job.generation or 0))
    and (not change.holder or change.holder == job.holder)
    and (change.cancel_asked == nil or change.cancel_asked == (job.cancel_asked or false))
end

function changing.was_made(job, change)
  if change.settles then
    return job.settled ~= nil and job.settled == change.generation and job.settled_by == change.holder
  end
  return change.to == job.state and change.holder ~= nil and change.holder == job.holder
    and change.generation == (job.generation or 0)
end

-- Notes are JSON texts; an empty one is to be removed.
function changing.merge(job, more)
  local notes = {}
  for name, text in pairs(job.notes or NOTHING) do notes[name] = text ~= 'null' and text or nil end
  for name, text in pairs(more) do notes[name] = text ~= '' and text or nil end
  job.notes = next(notes) and notes or nil
end

function changing.change_pieces(id, job, change)
  local pieces = {}
  for name, at in pairs(change.pieces or NOTHING) do pieces[name] = at and ARGV[at] end
  if pieces.result == nil and (change.to == WAITING or change.to == PENDING) and job.result then pieces.result = false end
  if next(pieces) ~= nil then stored.replace_pieces(id, job, pieces) end
end

function changing.set_fields(job, change, now)
  for name, value in pairs(change.fields or NOTHING) do job[name] = value end
  for _, name in ipairs(change.unset or NOTHING) do job[name] = nil end
  if change.notes then changing.merge(job, change.notes) end
  if change.delay then job.due = now + change.delay end
  if change.settles then job.settled, job.settled_by = change.generation, change.holder end
  if change.renews then job.generation = history.generation_after(job.generation or 0) end
  if change.record then job.tries = (job.tries or 0) + 1 end
  if change.to then job.state = change.to end
  if not job.unique_key then job.unique_held = nil end
end

function changing.is_taken_by_another(id, job, change, now)
  if change.takes_unique and job.unique_held then
    local holder = standing.unique_holder(job.unique_key, now)
    if holder and holder ~= id then return true end
  end
  return change.takes_turn and standing.turn_is_taken(id, job)
end

function changing.answer(outcome, job)
  local releases = job.releases and job.state >= SUCCEEDED or false
  return {outcome, job.state, job.generation or 0, job.cancel_asked or false, job.awaited or false, releases}
end

function changing.remember(id, record)
  call('RPUSH', root .. 'tries:' .. id, record)
  call('LTRIM', root .. 'tries:' .. id, -KEPT, -1)
end

function changing.apply(change, now)
  local id, to = change.id, change.to
  local job, tail = stored.load(id), tails[id]
  if not job then return {REFUSED, 0, 0, false, false, false} end
  if not changing.guards_hold(job, change) then return changing.answer(changing.was_made(job, change) and REPEATED or REFUSED, job) end
  local was, before, ends = standing.of(job), job, to and to >= SUCCEEDED and job.state < SUCCEEDED
  if change.takes_unique or change.takes_turn then job = changing.copy(job) end
  if to then standing.enter(job, to, now) end
  changing.change_pieces(id, job, change)
  changing.set_fields(job, change, now)
  if changing.is_taken_by_another(id, job, change, now) then
    tails[id] = tail
    return changing.answer(HELD, before)
  end
  if ends and standing.has_waiting(id, was) then job.releases = true end
  if change.record then changing.remember(id, ARGV[change.record]) end
  jobs[id] = job
  standing.keep(id, was, job, now)
  return changing.answer(MOVED, job)
end

-- First those that take no slot, then the others, each in the order given.
function changing.apply_all(changes, now)
  local answers, ids = {}, {}
  for position, change in ipairs(changes) do ids[position] = change.id end
  stored.read_all(ids)
  for _, takes in ipairs({false, true}) do
    for position, change in ipairs(changes) do
      if (change.takes_unique or change.takes_turn or false) == takes then answers[position] = changing.apply(change, now) end
    end
  end
  stored.write()
  return cmsgpack.pack(answers)
end
