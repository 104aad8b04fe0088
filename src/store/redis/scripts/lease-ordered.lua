-- Included by lease: fresh messages of lanes. Wants lease-fresh.lua and lanes.lua.
local aheadMin = 50 -- lanes that are read in one go, at least

-- Whether the next messages can go out as they are: none without a lane, none of a lane in which there is anything.
function fresh.areIdle(ids, count)
  for at = 1, count do
    local id = ids[at]
    if id == noLane or not lanes.isIdle(id) then return false end
  end
  return true
end

function fresh.takeTogether(from, count, ids, given)
  local block = { id = grant.nextId(), first = from, n = count, attempt = 1, lanes = string.sub(given, 1, count * 4) }
  grant.add(block)
  ids[count + 1] = nil -- what may follow the lanes
  blocks.inChunks('SADD', K, ids)
  state.u, state.h, state.c = state.u + count, state.h + count, from + count
end

-- Into the new block if nothing of its lane stands in the way; `mine`: lanes whose run may still grow there. False when
-- the message cannot even be parked.
function fresh.takeOrPark(offset, id, mine, added)
  if id == noLane then
    grant.take(offset, 1)
  elseif mine[id] then
    grant.take(offset, 1, id)
  elseif lanes.isIdle(id) then
    mine[id] = true
    added[#added + 1] = id
    grant.take(offset, 1, id)
  elseif state.p >= parkedMax then
    limited = 1
    return false
  else
    lanes.park(id, offset)
  end
  return true
end

-- Lanes that were handed out again by this call and hold nothing else.
function fresh.openRuns()
  local mine = {}
  for _, id in ipairs(grant.taken.lanes) do
    local lane = lanes.opened[id]
    mine[id] = lane and #lane.offsets == 0 and #lane.parked == 0 or nil
  end
  return mine
end

function fresh.takeEach(from, count, skip, ids, loaded)
  local mine, added = fresh.openRuns(), {}
  local outBefore, parkedBefore = #grant.taken.offsets, state.p
  local index = 0
  while index < count and room > 0 do
    if index == loaded then
      loaded = math.min(count, index + math.max(room, aheadMin))
      lanes.load(ids, index + 1, loaded)
    end
    if string.byte(skip, index + 1) ~= 1 and not fresh.takeOrPark(from + index, ids[index + 1], mine, added) then break end
    index = index + 1
  end
  local out = #grant.taken.offsets - outBefore
  state.u, state.h = state.u + out, state.h + out + state.p - parkedBefore
  state.c = from + index
  blocks.inChunks('SADD', K, added)
end

function fresh.takeOrdered(from, count, skip, given)
  state.l = 1
  local ids = lanes.split(given, count)
  local next = math.min(count, room)
  lanes.load(ids, 1, next)
  if skip == '' and count == next and #grant.taken.offsets == 0 and fresh.areIdle(ids, count) then
    fresh.takeTogether(from, count, ids, given)
  else
    fresh.takeEach(from, count, skip, ids, next)
  end
end
