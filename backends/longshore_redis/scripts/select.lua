-- Some jobs that may be what is asked for; the driver looks which are.
-- KEYS: the namespace's tag
-- ARGV: now | asked
-- asked: ids, small sets and how long ago their scores must be, how many their members may be, sets by age, queues,
--        tasks, states, newest first, how many of each set, created and id of the last one seen, whether each set
--        counts alone, with bodies; what is not asked for is false
-- Answer: now, whether these are all, created of the last one seen, its id, then per job: id, value, attempts
-- include store.lua job.lua
need_schema()
local now, asked = time(), cmsgpack.unpack(ARGV[2])
local IDS, SMALL, MOST, BY_AGE, QUEUES, TASKS, STATES, NEWEST, EACH, LAST_CREATED, LAST_ID, ALONE, BODY =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
local found, all, last_created, last_id = {}, 1, '', ''

local function add(id)
  examined = examined + 1
  local value = call('HGET', root .. 'jobs', id)
  if not value then return end
  local attempts = {}
  if not asked[BODY] then
    local head, behind = struct.unpack('>I4I4', value)
    value = value:sub(1, 8 + head + behind)
  else
    local job = load(id)
    if job and job[TRIES] > 0 then attempts = call('LRANGE', root .. 'tries:' .. id, 0, -1) end
  end
  found[#found + 1] = id
  found[#found + 1] = value
  found[#found + 1] = attempts
end

-- How many members stand before (created, id): a search among those of the same age.
local function rank(set, created, id, inclusive)
  local low = call('ZCOUNT', set, '-inf', '(' .. created)
  local high = call('ZCOUNT', set, '-inf', created)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local member = call('ZRANGE', set, middle, middle)[1]
    if member < id or (inclusive and member == id) then low = middle + 1 else high = middle end
  end
  return low
end

-- The next members of a set that is ordered by age; whether there are more.
local function next_of(set, entries)
  local first, last
  local size = call('ZCARD', set)
  if asked[NEWEST] then
    local after = asked[LAST_ID] and size - rank(set, asked[LAST_CREATED], asked[LAST_ID], false) or 0
    first = call('ZREVRANGE', set, after, after + asked[EACH] - 1, 'WITHSCORES')
    last = after + asked[EACH] >= size
  else
    local after = asked[LAST_ID] and rank(set, asked[LAST_CREATED], asked[LAST_ID], true) or 0
    first = call('ZRANGE', set, after, after + asked[EACH] - 1, 'WITHSCORES')
    last = after + asked[EACH] >= size
  end
  for at = 1, #first, 2 do entries[#entries + 1] = {first[at], tonumber(first[at + 1]), first[at + 1]} end
  return not last
end

local function comes_first(one, other)
  if one[2] ~= other[2] then
    if asked[NEWEST] then return one[2] > other[2] else return one[2] < other[2] end
  end
  if asked[NEWEST] then return one[1] > other[1] end
  return one[1] < other[1]
end

local function has(list, value)
  if not list then return true end
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

local function lists()
  local seen, sets = {}, {}
  for _, field in ipairs(call('HKEYS', root .. 'tally:jobs')) do
    local queue, task, state = field:match('^(%Z+)%z(%Z+)%z(%d)$')
    local set = root .. 'list:' .. queue .. '\0' .. state
    if not seen[set] and has(asked[QUEUES], queue) and has(asked[TASKS], task) and has(asked[STATES], tonumber(state)) then
      seen[set] = true
      sets[#sets + 1] = set
    end
  end
  return sets
end

local function by_age(sets)
  local entries = {}
  for _, set in ipairs(sets) do
    if next_of(set, entries) then all = 0 end
  end
  table.sort(entries, comes_first)
  local most = #entries
  -- Behind the first so many of all, a set of which more is to come might have another.
  if all == 0 and not asked[ALONE] then most = math.min(most, asked[EACH]) end
  if most < #entries then all = 0 end
  for at = 1, most do add(entries[at][1]) end
  if most > 0 then last_id, last_created = entries[most][1], entries[most][3] end
end

-- Members of small sets in no order of use; false where they are too many.
local function few(sets)
  local ids, size, seen = {}, 0, {}
  for _, set in ipairs(sets) do
    local key = root .. set[1]
    size = size + (set[2] and call('ZCOUNT', key, '-inf', now - set[2]) or call('ZCARD', key))
    if size > asked[MOST] then return false end
    for _, id in ipairs(set[2] and call('ZRANGEBYSCORE', key, '-inf', now - set[2]) or call('ZRANGE', key, 0, -1)) do
      if not seen[id] then ids[#ids + 1] = id end
      seen[id] = true
    end
  end
  for _, id in ipairs(ids) do add(id) end
  return true
end

if asked[IDS] then
  for _, id in ipairs(asked[IDS]) do add(id) end
elseif not (asked[SMALL] and few(asked[SMALL])) then
  local sets = {}
  for _, set in ipairs(asked[BY_AGE] or {}) do sets[#sets + 1] = root .. set end
  by_age(asked[BY_AGE] and sets or lists())
end
local answer = {string.format('%.0f', now), all, last_created, last_id}
for at = 1, #found do answer[at + 4] = found[at] end
return answer
