-- Plain jobs, as nearly all are: they have no key, group, parents, unique key or deadline, and stand in three places. What
-- `standing.keep` finds out by comparing is known of them, and said here in a tenth of the time.
local plain = {}

function plain.is(job)
  return not (job.key or job.group or job.parents or job.unique_key or job.expires or job.releases)
end

function plain.recount(job, was, is)
  local counted = job.queue .. '\0' .. job.task .. '\0'
  if was then store.tally('tally:jobs', counted .. was, -1) end
  store.tally('tally:jobs', counted .. is, 1)
end

-- One that is new and due.
function plain.arrive(id, job)
  changed[id] = true
  store.add('ready:' .. job.queue, -(job.priority or 0), stored.place(job.due, id))
  store.add('list:' .. job.queue .. '\0' .. PENDING, job.created, id)
  plain.recount(job, nil, PENDING)
end

-- One that was taken from the front of a set, which is cut off for all together.
function plain.hold(id, job)
  changed[id] = true
  store.gather('SADD', 'held:' .. job.holder, id)
  store.tally('tally:holders', job.holder, 1)
  plain.recount(job, PENDING, job.state)
end
