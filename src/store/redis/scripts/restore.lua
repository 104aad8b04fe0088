-- restore: take over the acked state that a snapshot kept; all leases end.
-- KEYS[1] s  STRING, see state.lua
-- KEYS[2] b  HASH of blocks, see block.lua
-- KEYS[3] z  ZSET of what becomes due, see block-index.lua
-- KEYS[4] o  ZSET of first unacked offsets, see block-index.lua
-- KEYS[5] k  SET of lanes that are out, see lanes.lua
-- KEYS[6] q  HASH of what waits in lanes, see lanes.lua
-- KEYS[7] p  ZSET of more that waits, see lanes.lua
-- KEYS[8] a  LIST of what was acked past the cursor, see acked-ahead.lua
-- KEYS[9] m  HASH of the log: mv how often a subscription was moved
-- KEYS[10] s of the snapshot
-- KEYS[11] a list like a, made ready for this call; absent when nothing was acked past the first unacked message
-- ARGV[1] how many offsets that list holds
-- ARGV[2] the wake channel
-- RETURNS nil: no such subscription; 0: no such snapshot, or the list is gone; else 1
local S, M = KEYS[1], KEYS[9]
-- INCLUDE state
local state = readState()
if not state then return false end
-- INCLUDE restart

local first = redis.call('GETRANGE', KEYS[10], 80, 87)
local isReady = ARGV[1] == '0' or redis.call('EXISTS', KEYS[11]) == 1
if first == '' or not isReady then return 0 end
restart(struct.unpack('>d', first), tonumber(ARGV[1]))
if ARGV[1] ~= '0' then
  redis.call('RENAME', KEYS[11], KEYS[8])
  redis.call('PERSIST', KEYS[8])
end
redis.call('PUBLISH', ARGV[2], '')
return 1
