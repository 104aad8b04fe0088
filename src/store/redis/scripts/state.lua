-- Included: the numbers of a subscription-partition. Wants the local S (key).
--
-- STRING s, ten f64 (big endian): c cursor (first offset never handed out), e epoch, b last block id, u messages out,
--   h unacked below the cursor, p parked, w lanes in which something waits, a acked past the cursor (in the list a), r where
--   the sweep goes on, l 1 once there were lanes. A snapshot's has an eleventh: the first unacked offset.
local stateFormat = '>dddddddddd'

-- nil: there is no such subscription
local function readState()
  local packed = redis.call('GET', S)
  if not packed then return nil end
  local state = { packed = packed }
  state.c, state.e, state.b, state.u, state.h, state.p, state.w, state.a, state.r, state.l =
    struct.unpack(stateFormat, packed)
  return state
end

local function packState(state)
  return struct.pack(
    stateFormat, state.c, state.e, state.b, state.u, state.h, state.p, state.w, state.a, state.r, state.l
  )
end

local function writeState(state)
  local packed = packState(state)
  if packed ~= state.packed then redis.call('SET', S, packed) end
end
