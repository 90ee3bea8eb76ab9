-- Some jobs that may be what is asked for; the driver looks which are.
-- KEYS: the namespace's tag
-- ARGV: now | asked
-- asked: ids | sets by age | few: at most so many with a score so long ago, or held by one holder or any | queues,
--        tasks, states of the lists that are looked through else; newest first, how many of each set, created and id of
--        the last one seen, whether each set counts alone, with bodies
-- Answer: now, whether these are all, created of the last one seen, its id, then per job: id, value, attempts
-- include store.lua job.lua
store.need_schema()
local now, asked = store.time(), cmsgpack.unpack(ARGV[2])
local found, is_all, last = {}, 1, {member = '', score = ''}

local function answer(ids)
  stored.read_all(ids)
  for _, id in ipairs(ids) do
    local job, value, attempts = jobs[id], values[id], {}
    if job and job ~= UNREADABLE then
      if not asked.body then value = value:sub(1, 4 + struct.unpack('>I4', value) + (job.digest or 0)) end
      if asked.body and job.tries then attempts = call('LRANGE', root .. 'tries:' .. id, 0, -1) end
    end
    if job then
      for _, part in ipairs({id, value, attempts}) do found[#found + 1] = part end
    end
  end
end

-- How many members stand before the last one seen, or up to it: a search among those of the same age.
local function rank(set, up_to)
  local low, high = call('ZCOUNT', set, '-inf', '(' .. asked.created), call('ZCOUNT', set, '-inf', asked.created)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = call('ZRANGE', set, middle, middle)[1]
    if store.is_before(member, asked.id) or (up_to and member == asked.id) then low = middle + 1 else high = middle end
  end
  return low
end

-- The next members of a set by age.
local function read_on(set, entries)
  local size, passed, members = call('ZCARD', set), 0, nil
  if asked.newest then
    if asked.id then passed = size - rank(set, false) end
    members = call('ZREVRANGE', set, passed, passed + asked.each - 1, 'WITHSCORES')
  else
    if asked.id then passed = rank(set, true) end
    members = call('ZRANGE', set, passed, passed + asked.each - 1, 'WITHSCORES')
  end
  if passed + asked.each < size then is_all = 0 end
  for at = 1, #members, 2 do entries[#entries + 1] = {member = members[at], score = members[at + 1]} end
end

local function comes_first(one, other)
  if asked.newest then one, other = other, one end
  local age, its = tonumber(one.score), tonumber(other.score)
  if age ~= its then return age < its end
  return store.is_before(one.member, other.member)
end

local function has(list, value)
  if not list then return true end
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

-- The lists in which jobs of these queues, tasks and states stand.
local function lists()
  local sets = {}
  for _, field in ipairs(call('HKEYS', root .. 'tally:jobs')) do
    local queue, task, state = field:match('^(%Z+)%z(%Z+)%z(%d)$')
    state = tonumber(state)
    if has(asked.queues, queue) and has(asked.tasks, task) and has(asked.states, state) then
      if state == RESERVED or state == RUNNING then state = PENDING end
      sets['list:' .. queue .. '\0' .. state] = true
    end
  end
  return sets
end

local function by_age(sets)
  local entries, ids, seen = {}, {}, {}
  for set in pairs(sets) do read_on(root .. set, entries) end
  table.sort(entries, comes_first)
  local most = #entries
  -- Behind the first so many of all, a set of which more is to come might have another.
  if is_all == 0 and not asked.alone then most = math.min(most, asked.each) end
  if most < #entries then is_all = 0 end
  for at = 1, most do
    local id = entries[at].member
    if not seen[id] then ids[#ids + 1] = id end
    seen[id], last = true, entries[at]
  end
  answer(ids)
end

-- All members of a set in no order of age; false where they are too many.
local function few()
  local held, before = {}, asked.ago and now - asked.ago
  if before then
    if call('ZCOUNT', root .. asked.scored, '-inf', before) > asked.few then return false end
    answer(call('ZRANGEBYSCORE', root .. asked.scored, '-inf', before))
    return true
  end
  local holders = asked.holder and {asked.holder} or call('HKEYS', root .. 'tally:holders')
  for at, holder in ipairs(holders) do held[at] = root .. 'held:' .. holder end
  local ids = #held > 0 and call('SUNION', unpack(held)) or {}
  if #ids > asked.few and not asked.holder then return false end
  answer(ids)
  return true
end

if asked.ids then
  answer(asked.ids)
elseif not (asked.few and few()) then
  local sets = {}
  for _, set in ipairs(asked.sets or {}) do sets[set] = true end
  by_age(asked.sets and sets or lists())
end
return {string.format('%.0f', now), is_all, last.score, last.member, found}
