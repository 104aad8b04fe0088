-- Included by lease: what was never handed out. Wants grant.lua and the locals that lease.lua makes of its arguments.
local fresh = {}

function fresh.block(first, count, offsets)
  grant.add({ id = grant.nextId(), first = first, n = count, attempt = 1, offsets = offsets })
  room = room - count
  state.u, state.h = state.u + count, state.h + count
end
