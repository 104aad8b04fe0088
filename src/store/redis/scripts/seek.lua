-- seek: everything before an offset counts as acked, everything from it on as unacked; all leases end.
-- KEYS[1] s  STRING, see state.lua
-- KEYS[2] b  HASH of blocks, see block.lua
-- KEYS[3] z  ZSET of what becomes due, see block-index.lua
-- KEYS[4] o  ZSET of first unacked offsets, see block-index.lua
-- KEYS[5] k  SET of lanes that are out, see lanes.lua
-- KEYS[6] q  HASH of what waits in lanes, see lanes.lua
-- KEYS[7] p  ZSET of more that waits, see lanes.lua
-- KEYS[8] a  LIST of what was acked past the cursor, see acked-ahead.lua
-- KEYS[9] m  HASH of the log: mv how often a subscription was moved
-- ARGV[1] the offset
-- ARGV[2] the wake channel
-- RETURNS nil: no such subscription; else 1
local S, M = KEYS[1], KEYS[9]
-- INCLUDE state
local state = readState()
if not state then return false end
-- INCLUDE restart

restart(tonumber(ARGV[1]), 0)
redis.call('PUBLISH', ARGV[2], '')
return 1
