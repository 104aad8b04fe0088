-- subscription-create: start a subscription on a partition, unless it is there.
-- KEYS[1] m  HASH of the log: h the offset that the next append gets
-- KEYS[2] s  STRING, see state.lua
-- ARGV[1] the offset to start at; empty: the head
-- RETURNS nil: no such log; else the cursor
local M, S = unpack(KEYS)
-- INCLUDE state

local head = redis.call('HGET', M, 'h')
if not head then return false end
local state = { e = 0, b = 0, u = 0, h = 0, p = 0, w = 0, a = 0, r = 0, l = 0 }
state.c = tonumber(ARGV[1] == '' and head or ARGV[1])
redis.call('SET', S, packState(state), 'NX')
return readState().c
