-- modify: move the deadlines of deliveries.
-- KEYS[1] s  STRING, see state.lua
-- KEYS[2] b  HASH of blocks, see block.lua
-- KEYS[3] z  ZSET of what becomes due, see block-index.lua
-- KEYS[4] o  ZSET of first unacked offsets, see block-index.lua
-- ARGV[1] now (epoch ms), empty: the server's
-- ARGV[2] the references, see settle.lua
-- ARGV[3] 1: strict
-- ARGV[4] the wake channel
-- ARGV[5] ack deadline (ms) from now
-- RETURNS nil: no such subscription; else the outcomes of each run, see settle.lua
local S, B, Z, O = unpack(KEYS)
-- INCLUDE time
-- INCLUDE state
local state = readState()
if not state then return false end
local now = epochMs(ARGV[1])
local strict = ARGV[3] == '1'
local deadlineMs = now + tonumber(ARGV[5])
-- INCLUDE block
-- INCLUDE block-index
-- INCLUDE settle
local woke = false
local touched = {} -- per block, the indexes that were named

local function setDue(member, block, attempt)
  blocks.due[member] = deadlineMs + backoffMs(block.retryMin, block.retryMax, attempt)
  if blocks.due[member] <= now then woke = true end
end

local function modifyOne(block, index)
  touched[block] = touched[block] or { count = 0, indexes = {} }
  local of = touched[block]
  if not of.indexes[index] then of.count = of.count + 1 end
  of.indexes[index] = true
  return 'o'
end

-- A block of which nothing has changed alone: its deadline moves.
local function modifyWhole(block, index, count)
  if count < block.n or blocks.statesOf(block) or touched[block] then return false end
  if strict and blocks.deadlineOf(block, index) <= now then return false end
  setDue(block.id, block, block.attempt)
  return true
end

local function messagesLeft(block)
  local states = blocks.statesOf(block)
  return states and block.n - #string.gsub(states, '[^5]', '') or block.n
end

-- They are all that is left of the block: its deadline moves, and theirs with it.
local function modifyRest(block, indexes)
  for index in pairs(indexes) do
    if blocks.stateAt(block, index) == cell.own then
      blocks.due[blocks.alone(block, index)] = false
      blocks.setState(block, index, cell.leased)
    end
  end
  setDue(block.id, block, block.attempt)
end

local function modifyAlone(block, indexes)
  for index in pairs(indexes) do
    if settle.isOut(block, index) then
      blocks.setState(block, index, cell.own)
      setDue(blocks.alone(block, index), block, blocks.attemptAt(block, index))
    end
  end
end

local outcomes = settle.runs(ARGV[2], modifyWhole, modifyOne)
for block, of in pairs(touched) do
  if of.count == messagesLeft(block) then
    modifyRest(block, of.indexes)
  else
    modifyAlone(block, of.indexes)
  end
end
blocks.write()
blocks.writeIndexes()
if woke then redis.call('PUBLISH', ARGV[4], '') end
return outcomes
