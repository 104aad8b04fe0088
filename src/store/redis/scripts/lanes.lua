-- Included: the lanes of a subscription-partition (the port's essay: LANES). Wants the locals K, Q, P (keys), now, lanes, and
-- state.lua, block.lua.
--
-- SET k: the lanes of which a run is out. Most have nothing else, and cost no more than that.
-- HASH q: what waits in a lane, big endian: due f64 (ms), returned u32, parked u32, more u32, then the returned messages
--   (offset u48, attempt u16 that the next delivery will have), then the parked ones (offset u48).
-- ZSET p: lane and offset (u48) of what is parked past the first `parkedInLane`, so that a hot lane is not written anew
--   each time it grows; all scores are 0, so they are in order.
local parkedInLane = 50

-- held, waiting: what k and q say of the lanes that this call read; opened: those it looks into; freed: those whose run it
-- settled; woke: one of them may go out at once.
lanes = { held = {}, waiting = {}, opened = {}, freed = {}, woke = false }

-- The lanes of a block's messages, and after them a number.
function lanes.split(packed, count)
  local ids = {}
  for from = 1, count, argumentsMax do
    local some = math.min(argumentsMax, count - from + 1)
    local part = { struct.unpack(string.rep('c4', some), packed, from * 4 - 3) }
    if count <= argumentsMax then return part end
    for at = 1, some do
      ids[#ids + 1] = part[at]
    end
  end
  return ids
end

-- Reads lanes `from` to `to` of the list in one go.
function lanes.load(ids, from, to)
  for start = from, to, argumentsMax do
    local stop = math.min(start + argumentsMax - 1, to)
    local held = redis.call('SMISMEMBER', K, unpack(ids, start, stop))
    local waiting = state.w > 0 and redis.call('HMGET', Q, unpack(ids, start, stop))
    for at = start, stop do
      lanes.held[ids[at]] = held[at - start + 1] == 1
      lanes.waiting[ids[at]] = waiting and waiting[at - start + 1]
    end
  end
end

function lanes.unpack(packed)
  local lane = { offsets = {}, attempts = {}, parked = {}, more = 0, due = 0 }
  if not packed then return lane end
  local returned, parked, at
  lane.due, returned, parked, lane.more, at = struct.unpack('>dI4I4I4', packed)
  for index = 1, returned do
    lane.offsets[index], lane.attempts[index], at = struct.unpack('>I6H', packed, at)
  end
  for index = 1, parked do
    lane.parked[index], at = struct.unpack('>I6', packed, at)
  end
  return lane
end

function lanes.pack(lane)
  local returned = {}
  for index, offset in ipairs(lane.offsets) do
    returned[index] = struct.pack('>I6H', offset, math.min(lane.attempts[index], attemptMax))
  end
  local head = struct.pack('>dI4I4I4', lane.due, #returned, #lane.parked, lane.more)
  return head .. table.concat(returned) .. blocks.packAll('I6', lane.parked)
end

function lanes.open(id)
  local lane = lanes.opened[id]
  if lane then return lane end
  if lanes.held[id] == nil then lanes.load({ id }, 1, 1) end
  lane = lanes.unpack(lanes.waiting[id])
  lane.isHeld = lanes.held[id]
  lanes.opened[id] = lane
  return lane
end

-- Nothing is out, nothing waits. Of a lane that was read.
function lanes.isIdle(id)
  return not lanes.held[id] and not lanes.waiting[id] and not lanes.opened[id]
end

-- The lane's next message comes after everything that waits in it.
function lanes.park(id, offset)
  local lane = lanes.open(id)
  if lane.more > 0 or #lane.parked >= parkedInLane then
    lane.more = lane.more + 1
    redis.call('ZADD', P, 0, id .. struct.pack('>I6', offset))
  else
    lane.parked[#lane.parked + 1] = offset
  end
  state.p = state.p + 1
end

-- Nothing parked is in the lane itself only when nothing is parked at all.
function lanes.refill(id, lane)
  if #lane.parked > 0 or lane.more == 0 then return end
  local members = redis.call('ZRANGEBYLEX', P, '[' .. id, '(' .. id .. '\255', 'LIMIT', 0, parkedInLane)
  for index, member in ipairs(members) do
    lane.parked[index] = struct.unpack('>I6', member, 5)
  end
  lane.more = lane.more - #members
  redis.call('ZREM', P, unpack(members))
end

-- All of a lane's run is settled or went back.
function lanes.free(lane)
  lane.isHeld = false
  if #lane.offsets == 0 or lane.due == 0 then lane.due = now end
end

function lanes.rest(list, from)
  local left = {}
  for at = from, #list do
    left[#left + 1] = list[at]
  end
  return left
end

-- A message of a run failed: it and everything after it in the run go back to the lane, due at `dueMs` once nothing of
-- the lane is out any more. `failed(index)`: whether the attempt of that message counts.
function lanes.sendBack(block, index, dueMs, failed)
  blocks.linkLanes(block)
  local lane = lanes.open(blocks.laneAt(block, index))
  local offsets, attempts = {}, {}
  local at = index
  while at and blocks.stateAt(block, at) ~= cell.gone do
    offsets[#offsets + 1] = blocks.offsetAt(block, at)
    attempts[#attempts + 1] = blocks.attemptAt(block, at) + (failed(at) and 1 or 0)
    at = block.after[at]
  end
  at = index
  while at and blocks.stateAt(block, at) ~= cell.gone do
    local before = blocks.stateAt(block, at)
    if before ~= cell.ahead then state.u = state.u - 1 end
    blocks.drop(block, at, before)
    at = block.after[at]
  end
  for waiting, offset in ipairs(lane.offsets) do
    offsets[#offsets + 1] = offset
    attempts[#attempts + 1] = lane.attempts[waiting]
  end
  lane.offsets, lane.attempts, lane.due = offsets, attempts, dueMs
  local earlier = block.before[index]
  if not earlier or blocks.stateAt(block, earlier) == cell.gone then lanes.free(lane) end
  return lane
end

-- Frees the lanes whose runs were settled, all in one go.
function lanes.freeSettled()
  if #lanes.freed == 0 then return end
  blocks.inChunks('SREM', K, lanes.freed)
  if state.w == 0 then return end
  lanes.load(lanes.freed, 1, #lanes.freed)
  for _, id in ipairs(lanes.freed) do
    if lanes.waiting[id] then lanes.free(lanes.open(id)) end
  end
end

function lanes.write()
  local held, let, waiting, done = {}, {}, {}, {}
  for id, lane in pairs(lanes.opened) do
    lanes.refill(id, lane)
    local member, first, before = 'l' .. id, lane.offsets[1] or lane.parked[1], lanes.waiting[id]
    if lane.isHeld then held[#held + 1] = id else let[#let + 1] = id end
    if first then
      waiting[#waiting + 1] = id
      waiting[#waiting + 1] = lanes.pack(lane)
    elseif before then
      done[#done + 1] = id
    end
    if first and not lane.isHeld then
      blocks.due[member], blocks.first[member] = lane.due, first
      if lane.due <= now then lanes.woke = true end
    elseif before then
      blocks.due[member], blocks.first[member] = false, false
    end
    state.w = state.w + (first and 1 or 0) - (before and 1 or 0)
  end
  blocks.inChunks('SADD', K, held)
  blocks.inChunks('SREM', K, let)
  blocks.inChunks('HSET', Q, waiting)
  blocks.inChunks('HDEL', Q, done)
end
