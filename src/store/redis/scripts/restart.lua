-- Included by seek and restore: all leases end, and the cursor is put somewhere; a trim that is under way learns of it
-- (`trimming.ts`). Wants state.lua and the locals state, M; KEYS[2..8] are b, z, o, k, q, p, a.
local function restart(cursor, ackedAhead)
  redis.call('UNLINK', unpack(KEYS, 2, 8))
  state.c, state.e, state.a = cursor, state.e + 1, ackedAhead
  state.u, state.h, state.p, state.w, state.r = 0, 0, 0, 0, 0
  writeState(state)
  if redis.call('EXISTS', M) == 1 then redis.call('HINCRBY', M, 'mv', 1) end
end
