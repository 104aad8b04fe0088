-- skip: everything before an offset counts as acked; what comes after is left as it is. A call does a bounded part of it.
-- KEYS[1] s  STRING, see state.lua
-- KEYS[2] b  HASH of blocks, see block.lua
-- KEYS[3] z  ZSET of what becomes due, see block-index.lua
-- KEYS[4] o  ZSET of first unacked offsets, see block-index.lua
-- KEYS[5] k  SET of lanes that are out, see lanes.lua
-- KEYS[6] q  HASH of what waits in lanes, see lanes.lua
-- KEYS[7] p  ZSET of more that waits, see lanes.lua
-- KEYS[8] a  LIST of what was acked past the cursor, see acked-ahead.lua
-- ARGV[1] now (epoch ms), empty: the server's
-- ARGV[2] the first offset to keep
-- ARGV[3] most blocks and lanes to look at
-- ARGV[4] most messages to look at in them; the block at which that is passed is finished
-- ARGV[5] the wake channel
-- RETURNS nil: no such subscription; 1: call again, there is more; 0: done
local S, B, Z, O, K, Q, P, A = unpack(KEYS)
-- INCLUDE time
local now = epochMs(ARGV[1])
local keptFrom = tonumber(ARGV[2])
local looksMax, messagesMax = tonumber(ARGV[3]), tonumber(ARGV[4])
-- INCLUDE state
local state = readState()
if not state then return false end
-- INCLUDE block
-- INCLUDE block-index
local lanes
-- INCLUDE lanes
-- INCLUDE acked-ahead

local function skipInBlock(block)
  blocks.walked = blocks.walked + block.n
  if block.lanes then blocks.linkLanes(block) end
  for index = 0, block.n - 1 do
    if blocks.offsetAt(block, index) >= keptFrom then return end
    local current = blocks.stateAt(block, index)
    if current ~= cell.gone then
      if block.back == 0 and (current == cell.leased or current == cell.own) then state.u = state.u - 1 end
      state.h = state.h - 1
      blocks.drop(block, index, current)
      local lane = blocks.laneAt(block, index)
      local later = lane and block.after[index]
      if lane and (not later or blocks.stateAt(block, later) == cell.gone) then lanes.freed[#lanes.freed + 1] = lane end
    end
  end
end

-- Of a lane that nobody holds.
local function skipInLane(id)
  local lane = lanes.open(id)
  blocks.walked = blocks.walked + #lane.offsets + #lane.parked
  local at = 1
  while lane.offsets[at] and lane.offsets[at] < keptFrom do
    at = at + 1
  end
  lane.offsets, lane.attempts = lanes.rest(lane.offsets, at), lanes.rest(lane.attempts, at)
  state.h = state.h - at + 1
  at = 1
  while lane.parked[at] and lane.parked[at] < keptFrom do
    at = at + 1
  end
  lane.parked = lanes.rest(lane.parked, at)
  state.h, state.p = state.h - at + 1, state.p - at + 1
  if #lane.offsets == 0 then lanes.free(lane) end
end

state.c = math.max(state.c, keptFrom)
stepOverAcked()
local members = redis.call('ZRANGE', O, '-inf', '(' .. digits(keptFrom), 'BYSCORE', 'LIMIT', 0, looksMax)
for _, member in ipairs(members) do
  if blocks.walked >= messagesMax then break end
  if string.sub(member, 1, 1) == 'l' then
    skipInLane(string.sub(member, 2))
  else
    skipInBlock(blocks.open(member))
  end
end
lanes.freeSettled()
lanes.write()
blocks.write()
blocks.writeIndexes()
writeState(state)
if lanes.woke then redis.call('PUBLISH', ARGV[5], '') end
return #members > 0 and 1 or 0
