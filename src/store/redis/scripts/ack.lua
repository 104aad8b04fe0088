-- ack: settle deliveries for good.
-- KEYS[1] s  STRING, see state.lua
-- KEYS[2] b  HASH of blocks, see block.lua
-- KEYS[3] z  ZSET of what becomes due, see block-index.lua
-- KEYS[4] o  ZSET of first unacked offsets, see block-index.lua
-- KEYS[5] k  SET of lanes that are out, see lanes.lua
-- KEYS[6] q  HASH of what waits in lanes, see lanes.lua
-- KEYS[7] p  ZSET of more that waits, see lanes.lua
-- ARGV[1] now (epoch ms), empty: the server's
-- ARGV[2] the references, see settle.lua
-- ARGV[3] 1: strict
-- ARGV[4] the wake channel
-- RETURNS nil: no such subscription; else the outcomes of each run, see settle.lua
local S, B, Z, O, K, Q, P = unpack(KEYS)
-- INCLUDE time
-- INCLUDE state
local state = readState()
if not state then return false end
local strict = ARGV[3] == '1'

-- The lanes of a block's messages, packed, while nothing waits in any lane.
local function freeAll(block, from)
  for at = from, #block, 4000 do
    local ids = { struct.unpack(string.rep('c4', math.min(1000, (#block - at + 1) / 4)), block, at) }
    ids[#ids] = nil -- what follows the lanes
    redis.call('SREM', K, unpack(ids))
  end
end

-- Most acks name one whole block that nothing has happened to; all that follows is for the others. Definitions are most of
-- what a small script costs, so they stand behind it.
local function ackUntouched()
  if #ARGV[2] ~= 41 then return false end -- more than one run, or offsets that do not follow each other
  local epoch, id, index, count, offset = struct.unpack('>ddddd', ARGV[2])
  id = string.format('%.0f', id)
  local block = epoch == state.e and index == 0 and redis.call('HGET', B, id)
  if not block then return false end
  local flags, first, n = struct.unpack('>BI6I4', block)
  if flags > 1 and (flags ~= 16 or state.w > 0) or first ~= offset or n ~= count then return false end
  if flags == 16 then freeAll(block, 14) end
  redis.call('HDEL', B, id)
  redis.call('ZREM', Z, id)
  redis.call('ZREM', O, id)
  state.u, state.h = state.u - n, state.h - n
  writeState(state)
  return true
end
if not strict and ackUntouched() then return { 'o' } end

local now = epochMs(ARGV[1])
local lanes
-- INCLUDE block
-- INCLUDE block-index
-- INCLUDE settle
if state.l == 1 then
-- INCLUDE lanes
end

local function settled(block, index)
  local current = blocks.stateAt(block, index)
  if current ~= cell.ahead then state.u = state.u - 1 end
  state.h = state.h - 1
  blocks.drop(block, index, current)
end

-- Acks a message whose lane predecessors are settled, and those after it that were acked ahead.
local function settleRun(block, index, lane)
  local at = index
  repeat
    settled(block, at)
    at = block.after[at]
  until not at or blocks.stateAt(block, at) ~= cell.ahead
  if not at or blocks.stateAt(block, at) == cell.gone then lanes.freed[#lanes.freed + 1] = lane end
end

local function ackOne(block, index)
  local lane = blocks.laneAt(block, index)
  if not lane then
    settled(block, index)
    return 'o'
  end
  blocks.linkLanes(block)
  local earlier = block.before[index]
  if not earlier or blocks.stateAt(block, earlier) == cell.gone then
    settleRun(block, index, lane)
    return 'o'
  end
  if strict then return 'u' end
  if settle.isOut(block, index) then
    if blocks.stateAt(block, index) == cell.own then blocks.due[blocks.alone(block, index)] = false end
    blocks.setState(block, index, cell.ahead)
    state.u = state.u - 1
  end
  return 'o'
end

local function freeLanesOf(block)
  local ids = lanes.split(block.lanes, block.n)
  for at = 1, block.n do
    if ids[at] ~= noLane then lanes.freed[#lanes.freed + 1] = ids[at] end
  end
end

-- A run that was not touched yet; of a block with lanes only when it is the whole block.
local function ackWhole(block, index, count)
  if block.lanes and count < block.n or not blocks.areLeased(block, index, count) then return false end
  if strict and blocks.deadlineOf(block, index) <= now then return false end
  if block.lanes then freeLanesOf(block) end
  blocks.setStates(block, index, count, cell.gone)
  state.u, state.h = state.u - count, state.h - count
  return true
end

local outcomes = settle.runs(ARGV[2], ackWhole, ackOne)
if lanes then
  lanes.freeSettled()
  lanes.write()
end
blocks.write()
blocks.writeIndexes()
writeState(state)
if lanes and lanes.woke then redis.call('PUBLISH', ARGV[4], '') end
return outcomes
