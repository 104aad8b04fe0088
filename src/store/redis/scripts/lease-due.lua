-- Included by lease: what is due. Wants grant.lua, lanes.lua and the local attemptMin.
-- more: the call ended at one of its bounds, and there is more to look at.
local overdue = { more = 0 }
-- No other client of Redis is served meanwhile, so one call looks at so much, however much is due:
local entriesMax = 1000 -- of z
local walkedMax = 1000 -- messages of blocks that do not go out as a whole; the block at which that is passed is finished

-- False: not for this caller, who wants only what failed often enough.
function overdue.isWanted(attempt)
  return attempt >= attemptMin
end

-- Nothing in the block differs from the rest: it is handed out as a whole, under a new id.
function overdue.rename(block)
  local attempt = block.attempt + (block.back == 2 and 0 or 1)
  if block.back > 0 then state.u = state.u + block.n end
  blocks.setStates(block, 0, block.n, cell.gone)
  room = room - block.n
  grant.add({ id = grant.nextId(), first = block.first, n = block.n, offsets = block.offsets, attempt = attempt })
end

function overdue.takeMessage(block, index, before)
  local attempt = blocks.attemptAt(block, index) + ((block.back == 2 or before == cell.released) and 0 or 1)
  if not overdue.isWanted(attempt) then return end
  if block.back > 0 or before == cell.nacked or before == cell.released then state.u = state.u + 1 end
  blocks.drop(block, index, before)
  grant.take(blocks.offsetAt(block, index), attempt)
end

function overdue.laneFailed(block, index, dueMs, queue)
  local id = blocks.laneAt(block, index)
  local lane = lanes.sendBack(block, index, dueMs, function(other)
    local isOut = blocks.stateAt(block, other) == cell.leased or blocks.stateAt(block, other) == cell.own
    return isOut and blocks.deadlineOf(block, other) <= now
  end)
  if not lane.isHeld and lane.due <= now then queue[#queue + 1] = 'l' .. id end
end

-- The deadline of the block has passed: what is leased in it failed.
function overdue.expireBlock(block, dueMs, queue)
  local isEven = not block.lanes and not block.attempts
  if isEven and not overdue.isWanted(block.attempt + (block.back == 2 and 0 or 1)) then return end
  if isEven and not blocks.statesOf(block) and block.n <= room then return overdue.rename(block) end
  blocks.walked = blocks.walked + block.n
  if block.lanes then lanes.load(lanes.split(block.lanes, block.n), 1, block.n) end
  local endedMs = dueMs - backoffMs(block.retryMin, block.retryMax, block.attempt)
  for index = 0, block.n - 1 do
    if room <= 0 then return end
    if blocks.stateAt(block, index) == cell.leased then
      local messageDueMs = endedMs + backoffMs(block.retryMin, block.retryMax, blocks.attemptAt(block, index))
      if blocks.laneAt(block, index) then
        overdue.laneFailed(block, index, messageDueMs, queue)
      elseif block.back > 0 or messageDueMs <= now then
        overdue.takeMessage(block, index, cell.leased)
      else
        blocks.setState(block, index, cell.own)
        blocks.due[blocks.alone(block, index)] = messageDueMs
      end
    end
  end
end

function overdue.expireMessage(block, index, dueMs, queue)
  if blocks.laneAt(block, index) then
    overdue.laneFailed(block, index, dueMs, queue)
  else
    overdue.takeMessage(block, index, blocks.stateAt(block, index))
  end
end

-- Takes the lane's next run: what came back, or else what is parked.
function overdue.takeLane(id)
  local lane = lanes.open(id)
  if #lane.offsets > 0 then
    if not overdue.isWanted(lane.attempts[1]) then return end
    local count = attemptMin > 0 and 1 or math.min(room, #lane.offsets)
    for at = 1, count do
      grant.take(lane.offsets[at], lane.attempts[at], id)
    end
    lane.offsets, lane.attempts, lane.due = lanes.rest(lane.offsets, count + 1), lanes.rest(lane.attempts, count + 1), 0
    state.u = state.u + count
  elseif attemptMin > 0 then
    return
  else
    local count = 0
    while room > 0 and #lane.parked > 0 do
      local run = math.min(room, #lane.parked)
      for at = 1, run do
        grant.take(lane.parked[at], 1, id)
      end
      lane.parked = lanes.rest(lane.parked, run + 1)
      lanes.refill(id, lane)
      count = count + run
    end
    state.p, state.u = state.p - count, state.u + count
  end
  lane.isHeld = true
  blocks.due['l' .. id], blocks.first['l' .. id] = false, false
end

function overdue.takeEntry(member, dueMs, queue)
  if blocks.due[member] == false then return end -- an entry before it took this one along
  if string.sub(member, 1, 1) == 'l' then return overdue.takeLane(string.sub(member, 2)) end
  local id, index = string.match(member, '^(%d+)%.?(%d*)$')
  local block = blocks.open(id)
  if index == '' then return overdue.expireBlock(block, dueMs, queue) end
  return overdue.expireMessage(block, tonumber(index), dueMs, queue)
end

-- `entries`: members and scores in turn. Lanes that fail on the way come due in the same call. Returns to how many it came.
function overdue.takeEntries(entries)
  for at = 1, #entries, 2 do
    if room <= 0 or blocks.walked >= walkedMax then return (at - 1) / 2 end
    local queue = {}
    overdue.takeEntry(entries[at], tonumber(entries[at + 1]), queue)
    for _, member in ipairs(queue) do
      if room > 0 then overdue.takeEntry(member, now, queue) end
    end
  end
  return #entries / 2
end

-- Everything due, oldest first.
function overdue.take()
  local looked = 0
  while room > 0 and looked < entriesMax and blocks.walked < walkedMax do
    local most = math.min(room, entriesMax - looked)
    local entries = redis.call('ZRANGE', Z, '-inf', now, 'BYSCORE', 'LIMIT', 0, most, 'WITHSCORES')
    if #entries == 0 then return end
    looked = looked + overdue.takeEntries(entries)
    blocks.write()
    blocks.writeDue()
  end
  overdue.more = room > 0 and 1 or 0
end

-- The sweep for messages that failed too often leaves the others due; the next call goes on where this one stopped.
function overdue.sweep()
  local dueCount = redis.call('ZCOUNT', Z, '-inf', now)
  if state.r >= dueCount then state.r = 0 end
  local entries = redis.call('ZRANGE', Z, state.r, math.min(state.r + entriesMax, dueCount) - 1, 'WITHSCORES')
  if dueCount == 0 then return end
  local left = dueCount - state.r
  local looked = overdue.takeEntries(entries)
  blocks.write()
  if room <= 0 then return end
  if looked < left then overdue.more = 1 end
  for at = 1, looked * 2, 2 do
    if blocks.due[entries[at]] == nil then state.r = state.r + 1 end
  end
end
