-- Included by lease: the new blocks. Wants state.lua, block.lua and the locals room, deadlineMs, retryMin, retryMax.
-- blocks: those made by this call; replies: what the caller is told of each.
local grant = { blocks = {}, replies = {} }
-- What goes into one new block: messages that were due one by one, runs of lanes, and fresh messages of lanes.
grant.taken = { offsets = {}, attempts = {}, lanes = {}, hasLanes = false }

function grant.nextId()
  state.b = state.b + 1
  return digits(state.b)
end

-- The block that `taken` will be.
function grant.takenId()
  grant.taken.id = grant.taken.id or grant.nextId()
  return grant.taken.id
end

function grant.take(offset, attempt, lane)
  local at = #grant.taken.offsets + 1
  grant.taken.offsets[at], grant.taken.lanes[at] = offset, lane or noLane
  grant.taken.attempts[at] = math.min(attempt, attemptMax)
  if lane then grant.taken.hasLanes = true end
  room = room - 1
end

function grant.add(block)
  block.back, block.dirty, block.live = 0, true, nil
  block.retryMin, block.retryMax = retryMin, retryMax
  block.attempt = math.min(block.attempt, attemptMax)
  blocks.opened[block.id] = block
  grant.blocks[#grant.blocks + 1] = block
  grant.replies[#grant.replies + 1] = {
    tonumber(block.id), block.first, block.n, block.attempt, block.offsets or '', block.attempts or '',
  }
end

-- Not before all that is due was taken: a deadline may be this very moment. Returns the earliest of them and `dueMs`.
function grant.startDeadlines(dueMs)
  for _, block in ipairs(grant.blocks) do
    blocks.due[block.id] = deadlineMs + backoffMs(retryMin, retryMax, block.attempt)
    dueMs = math.min(dueMs or blocks.due[block.id], blocks.due[block.id])
  end
  return dueMs
end

function grant.areConsecutive(offsets)
  return offsets[#offsets] - offsets[1] + 1 == #offsets
end

function grant.lowBits(offsets)
  local low = {}
  for at, offset in ipairs(offsets) do
    low[at] = offset % 4294967296
  end
  return blocks.packAll('I4', low)
end

-- Messages of one lane are taken in order, and all of one lane's run at once: sorting keeps them so.
function grant.sort()
  local order, isSorted = {}, true
  for at, offset in ipairs(grant.taken.offsets) do
    order[at] = at
    isSorted = isSorted and (at == 1 or grant.taken.offsets[at - 1] < offset)
  end
  if isSorted then return end
  table.sort(order, function(a, b) return grant.taken.offsets[a] < grant.taken.offsets[b] end)
  local sorted = { offsets = {}, attempts = {}, lanes = {}, hasLanes = grant.taken.hasLanes, id = grant.taken.id }
  for at, from in ipairs(order) do
    sorted.offsets[at], sorted.attempts[at] = grant.taken.offsets[from], grant.taken.attempts[from]
    sorted.lanes[at] = grant.taken.lanes[from]
  end
  grant.taken = sorted
end

function grant.grantTaken()
  if #grant.taken.offsets == 0 then return end
  grant.sort()
  local lowest, highest = grant.taken.attempts[1], grant.taken.attempts[1]
  for _, attempt in ipairs(grant.taken.attempts) do
    lowest, highest = math.min(lowest, attempt), math.max(highest, attempt)
  end
  grant.add({
    id = grant.takenId(),
    first = grant.taken.offsets[1],
    n = #grant.taken.offsets,
    attempt = lowest,
    offsets = not grant.areConsecutive(grant.taken.offsets) and grant.lowBits(grant.taken.offsets) or nil,
    attempts = lowest < highest and blocks.packAll('H', grant.taken.attempts) or nil,
    lanes = grant.taken.hasLanes and table.concat(grant.taken.lanes) or nil,
  })
end
