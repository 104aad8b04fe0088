-- snapshot: keep a copy of the acked state: what is unacked below the cursor, and what is acked past it.
-- All in one call, or it would not be one moment: about a millisecond per 1,500 blocks, and there are at most `blocksMax`.
-- KEYS[1] s  STRING, see state.lua
-- KEYS[2] b  HASH of blocks, see block.lua
-- KEYS[3] q  HASH of what waits in lanes, see lanes.lua
-- KEYS[4] p  ZSET of more that waits, see lanes.lua
-- KEYS[5] a  LIST of what was acked past the cursor, see acked-ahead.lua
-- KEYS[6] o  ZSET of first unacked offsets, see block-index.lua
-- KEYS[7] s of the snapshot
-- KEYS[8] b of the snapshot
-- KEYS[9] q of the snapshot
-- KEYS[10] p of the snapshot
-- KEYS[11] a of the snapshot
-- RETURNS nil: no such subscription; else 1
local S, O = KEYS[1], KEYS[6]
-- INCLUDE state
-- INCLUDE first-unacked

local state = readState()
if not state then return false end
-- A COPY of a key that is absent would leave an older destination in place.
redis.call('UNLINK', unpack(KEYS, 7, 11))
for at = 1, 5 do
  redis.call('COPY', KEYS[at], KEYS[at + 6])
end
redis.call('APPEND', KEYS[7], struct.pack('>d', firstUnacked(state)))
return 1
