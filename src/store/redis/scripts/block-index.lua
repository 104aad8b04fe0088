-- Included: the blocks of a subscription-partition and the two indexes over them. Wants the locals B, Z, O (keys) and
-- block.lua.
--
-- ZSET z: what becomes due, by when (ms): `<block>` for its leased messages, `<block>.<index>` for one with a time of its
--   own, `l<lane>` for a lane that nobody holds. A time already holds the retry policy's backoff: deadline + backoff.
-- ZSET o: `<block>` and `l<lane>` by their first unacked offset. What a lane holds while it is out follows its block's.

-- opened: what this call read or made; due, first: what it changes in z and o, false for what it takes out.
blocks.opened, blocks.due, blocks.first = {}, {}, {}

-- false: there is no such block
function blocks.open(id)
  local block = blocks.opened[id]
  if block == nil then
    local packed = redis.call('HGET', B, id)
    block = packed and blocks.unpack(id, packed)
    blocks.opened[id] = block
  end
  return block
end

function blocks.alone(block, index)
  return block.id .. '.' .. index
end

-- When a member of z is due, as far as this script has come; nil when it is not there.
function blocks.dueOf(member)
  if blocks.due[member] ~= nil then return blocks.due[member] or nil end
  return tonumber(redis.call('ZSCORE', Z, member) or nil)
end

-- When the lease of a message that is out ends.
function blocks.deadlineOf(block, index)
  if blocks.stateAt(block, index) == cell.own then
    return (blocks.dueOf(blocks.alone(block, index)) or 0) - backoffMs(block.retryMin, block.retryMax, blocks.attemptAt(block, index))
  end
  return (blocks.dueOf(block.id) or 0) - backoffMs(block.retryMin, block.retryMax, block.attempt)
end

-- The message leaves the block.
function blocks.drop(block, index, state)
  if state ~= cell.leased and state ~= cell.ahead then blocks.due[blocks.alone(block, index)] = false end
  blocks.setState(block, index, cell.gone)
end

function blocks.writeIndex(key, changes)
  local added, removed = {}, {}
  for member, score in pairs(changes) do
    if score then
      added[#added + 1] = score
      added[#added + 1] = member
    else
      removed[#removed + 1] = member
    end
  end
  blocks.inChunks('ZADD', key, added)
  blocks.inChunks('ZREM', key, removed)
end

function blocks.write()
  local written, removed = {}, {}
  for id, block in pairs(blocks.opened) do
    if block and block.dirty then
      local states = blocks.statesOf(block)
      local live = not states and 1 or string.find(states, '[^5]')
      if live then
        written[#written + 1] = id
        written[#written + 1] = blocks.pack(block)
        local offset = blocks.offsetAt(block, live - 1)
        if offset ~= block.live then blocks.first[id] = offset end
        block.live = offset
        if states and not string.find(states, cell.leased, 1, true) then blocks.due[id] = false end
      else
        removed[#removed + 1] = id
        blocks.due[id], blocks.first[id] = false, false
        blocks.opened[id] = false
      end
      block.dirty = false
    end
  end
  blocks.inChunks('HSET', B, written)
  blocks.inChunks('HDEL', B, removed)
end

function blocks.writeDue()
  blocks.writeIndex(Z, blocks.due)
  blocks.due = {}
end

function blocks.writeIndexes()
  blocks.writeDue()
  blocks.writeIndex(O, blocks.first)
  blocks.first = {}
end
