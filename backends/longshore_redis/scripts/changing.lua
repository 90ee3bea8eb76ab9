-- One change of one job, as `longshore.reference` says it.
local ID, TO, STATES, BY_GENERATION, BY_HOLDER, IF_CANCEL, SETTLES, RENEWS, FIELDS, DELAY, RECORD, PIECES, MERGED, TAKES_UNIQUE,
  TAKES_TURN = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
local MOVED, REPEATED, REFUSED, HELD = 1, 2, 3, 4
local KEPT = 20

-- What comes with a state, before it is set.
local function enter(job, to, now)
  if to >= SUCCEEDED then
    job[ENDED], job[HOLDER], job[TURN] = now, '', NONE
    if job[UNIQUE_UNTIL] == NONE or job[UNIQUE_UNTIL] <= now then job[UNIQUE_HELD] = false end
  elseif to == RUNNING or to == RESERVED then
    job[STARTED] = now
    if to == RUNNING and job[UNIQUE_SCOPE] == START then job[UNIQUE_HELD] = false end
  else
    job[ENDED], job[HOLDER], job[RESULT_CODEC], job[RELEASES] = NONE, '', '', false
  end
end

-- Whether waiting jobs name it as a parent, or wait for the turn that it has.
local function has_waiting(id, was)
  if was.turn and call('EXISTS', root .. 'wait:' .. was.key) == 1 then return true end
  return call('ZCOUNT', root .. 'kids:' .. id, 0, 0) > 0
end

local function guards_hold(job, change)
  return (change[STATES] == NONE or bit.band(change[STATES], bit.lshift(1, job[STATE])) ~= 0)
    and (change[BY_GENERATION] == NONE or change[BY_GENERATION] == job[GENERATION])
    and (change[BY_HOLDER] == '' or change[BY_HOLDER] == job[HOLDER])
    and (change[IF_CANCEL] == NONE or (change[IF_CANCEL] == 1) == job[CANCEL_ASKED])
end

local function was_made(job, change)
  if change[SETTLES] then
    return job[SETTLED] ~= NONE and job[SETTLED] == change[BY_GENERATION] and job[SETTLED_BY] == change[BY_HOLDER]
  end
  return change[TO] == job[STATE] and change[BY_HOLDER] ~= '' and change[BY_HOLDER] == job[HOLDER]
    and change[BY_GENERATION] == job[GENERATION]
end

local function merged(notes, more)
  local all = #notes > 0 and cmsgpack.unpack(notes) or {}
  for name, text in pairs(cmsgpack.unpack(more)) do
    all[name] = text
  end
  for name, text in pairs(all) do
    if text == '' or text == 'null' then all[name] = nil end
  end
  return next(all) and cmsgpack.pack(all) or ''
end

local function changed_tail(job, tail, change, clears)
  if #change[PIECES] == 0 and change[MERGED] == 0 and not clears then return tail end
  local found = pieces(job, tail)
  if clears then found[RESULT] = nil end
  for at = 1, #change[PIECES], 2 do
    found[change[PIECES][at]] = ARGV[change[PIECES][at + 1]]
  end
  if change[MERGED] ~= 0 then found[NOTES] = merged(found[NOTES], ARGV[change[MERGED]]) end
  return joined(job, found)
end

local function set_fields(job, change, now)
  for at = 1, #change[FIELDS], 2 do
    job[change[FIELDS][at]] = change[FIELDS][at + 1]
  end
  if change[DELAY] then job[DUE] = now + change[DELAY] end
  if change[SETTLES] then job[SETTLED], job[SETTLED_BY] = change[BY_GENERATION], change[BY_HOLDER] end
  if change[RENEWS] then job[GENERATION] = generation_after(job[GENERATION]) end
  if change[RECORD] ~= 0 then job[TRIES] = job[TRIES] + 1 end
  if change[TO] ~= 0 then job[STATE] = change[TO] end
  if job[UNIQUE_KEY] == '' then job[UNIQUE_HELD] = false end
end

local function is_taken_by_another(id, job, change, now)
  if change[TAKES_UNIQUE] and job[UNIQUE_HELD] then
    local holder = unique_holder(job[UNIQUE_KEY], now)
    if holder and holder ~= id then return true end
  end
  return change[TAKES_TURN] and turn_is_taken(id, job)
end

local function answer(outcome, job)
  local releases = job[RELEASES] and job[STATE] >= SUCCEEDED
  return {outcome, job[STATE], job[GENERATION], job[CANCEL_ASKED], job[AWAITED], releases}
end

local function remember(id, record)
  call('RPUSH', root .. 'tries:' .. id, record)
  call('LTRIM', root .. 'tries:' .. id, -KEPT, -1)
end

local function apply(change, now)
  local id, to = change[ID], change[TO]
  local job, tail = load(id)
  if not job then return {REFUSED, 0, 0, false, false, false} end
  if not guards_hold(job, change) then return answer(was_made(job, change) and REPEATED or REFUSED, job) end
  local was, before = standing(job), answer(HELD, job)
  local ends = to >= SUCCEEDED and job[STATE] < SUCCEEDED
  if to ~= 0 then enter(job, to, now) end
  set_fields(job, change, now)
  tail = changed_tail(job, tail, change, (to == WAITING or to == PENDING) and job[RESULT] ~= NONE)
  if is_taken_by_another(id, job, change, now) then return before end
  if ends and has_waiting(id, was) then job[RELEASES] = true end
  if change[RECORD] ~= 0 then remember(id, ARGV[change[RECORD]]) end
  store(id, was, job, tail, now)
  return answer(MOVED, job)
end

-- First those that take no slot, then the others, each in the order given.
local function update(changes, now)
  local answers = {}
  for _, takes in ipairs({false, true}) do
    for position, change in ipairs(changes) do
      if (change[TAKES_UNIQUE] or change[TAKES_TURN]) == takes then answers[position] = apply(change, now) end
    end
  end
  return cmsgpack.pack(answers)
end
