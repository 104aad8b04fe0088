-- Included by seek and restore: all leases end, and the cursor is put somewhere. Wants state.lua and the local state;
-- KEYS[2..8] are b, z, o, k, q, p, a.
local function restart(cursor, ackedAhead)
  redis.call('UNLINK', unpack(KEYS, 2, 8))
  state.c, state.e, state.a = cursor, state.e + 1, ackedAhead
  state.u, state.h, state.p, state.w, state.r = 0, 0, 0, 0, 0
  writeState(state)
end
