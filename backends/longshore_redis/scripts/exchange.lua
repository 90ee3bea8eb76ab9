-- Applies changes, then takes jobs.
-- KEYS: the namespace's tag
-- ARGV: now | changes | what claim.lua is asked | bytes that changes name by their position …
-- Answer: the answers of update.lua, those of claim.lua
-- include store.lua history.lua job.lua plain.lua
-- include when used standing.lua
-- include changing.lua claiming.lua
store.need_schema()
local now = store.time()
return {changing.apply_all(cmsgpack.unpack(ARGV[2]), now), claiming.claim_all(cmsgpack.unpack(ARGV[3]), now)}
