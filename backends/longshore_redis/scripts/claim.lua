-- Takes due jobs for a holder.
-- KEYS: the namespace's tag
-- ARGV: now | what is asked: claims, holder, limit, max_bytes
-- Answer: {id, value, …}, ids of expired jobs, time until the next is due or -1, keys examined
-- include store.lua history.lua job.lua plain.lua
-- include when used standing.lua
-- include claiming.lua
store.need_schema()
return claiming.claim_all(cmsgpack.unpack(ARGV[2]), store.time())
