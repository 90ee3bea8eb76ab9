-- Applies changes, then takes jobs.
-- KEYS: the namespace's tag
-- ARGV: now | asked | bytes that changes name by their position …
-- asked: changes, what claim.lua is asked
-- Answer: the answers of update.lua, those of claim.lua
-- include store.lua history.lua job.lua standing.lua changing.lua claiming.lua
need_schema()
local asked, now = cmsgpack.unpack(ARGV[2]), time()
local answers = update(asked[1], now)
local claimed = claim_all(asked[2], now)
write_tallies()
return {answers, claimed}
