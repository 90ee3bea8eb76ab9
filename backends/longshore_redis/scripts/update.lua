-- Applies each change whose guards hold.
-- KEYS: the namespace's tag
-- ARGV: now | changes | bytes that changes name by their position …
-- Answer: per change {outcome, state, generation, cancel_asked, awaited, releases}, in msgpack; keys examined
-- include store.lua history.lua job.lua
-- include when used standing.lua
-- include changing.lua
store.need_schema()
return {changing.apply_all(cmsgpack.unpack(ARGV[2]), store.time()), store.examined}
