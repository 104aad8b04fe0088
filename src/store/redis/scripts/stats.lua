-- stats: how far a subscription is on a partition.
-- KEYS[1] m  HASH of the log: h the offset that the next append gets
-- KEYS[2] s  STRING, see state.lua
-- KEYS[3] o  ZSET of first unacked offsets, see block-index.lua
-- RETURNS nil: no such subscription; else backlog, messages out, first unacked offset, head
local M, S, O = unpack(KEYS)
-- INCLUDE state
-- INCLUDE first-unacked

local state = readState()
if not state then return false end
local head = tonumber(redis.call('HGET', M, 'h') or 1)
return { math.max(0, head - state.c - state.a + state.h), state.u, firstUnacked(state), head }
