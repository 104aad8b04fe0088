-- nack: take deliveries back; they are due again after the retry policy's backoff, or at once.
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
-- ARGV[5], ARGV[6] least and most backoff (ms), empty: none
-- ARGV[7] 1: counts as an attempt; 0: never tried, no backoff
-- RETURNS nil: no such subscription; else the outcomes of each run, see settle.lua
local S, B, Z, O, K, Q, P = unpack(KEYS)
-- INCLUDE time
-- INCLUDE state
local state = readState()
if not state then return false end
local now = epochMs(ARGV[1])
local strict = ARGV[3] == '1'
local counted = ARGV[7] == '1'
local retryMin, retryMax = tonumber(ARGV[5]), tonumber(ARGV[6])
local lanes
-- INCLUDE block
-- INCLUDE block-index
-- INCLUDE settle
if state.l == 1 then
-- INCLUDE lanes
end
local woke = false

-- Whoever waits on another node has to know of it even when it is not due yet: what it knew to be next is later.
local function dueMsAfter(attempt)
  woke = true
  return now + (counted and backoffMs(retryMin, retryMax, attempt) or 0)
end

local function nackOne(block, index)
  local current = blocks.stateAt(block, index)
  if current == cell.ahead then return 's' end
  local dueMs = dueMsAfter(blocks.attemptAt(block, index))
  if blocks.laneAt(block, index) then
    lanes.sendBack(block, index, dueMs, function(other) return counted and other == index end)
    return 'o'
  end
  blocks.setState(block, index, counted and cell.nacked or cell.released)
  blocks.due[blocks.alone(block, index)] = dueMs
  state.u = state.u - 1
  return 'o'
end

-- A block of which nothing has changed alone waits as a whole.
local function nackWhole(block, index, count)
  if count < block.n or block.lanes or block.attempts or blocks.statesOf(block) then return false end
  if strict and blocks.deadlineOf(block, index) <= now then return false end
  block.back, block.dirty = counted and 1 or 2, true
  blocks.due[block.id] = dueMsAfter(block.attempt)
  state.u = state.u - count
  return true
end

local outcomes = settle.runs(ARGV[2], nackWhole, nackOne)
if lanes then lanes.write() end
blocks.write()
blocks.writeIndexes()
writeState(state)
if woke or (lanes and lanes.woke) then redis.call('PUBLISH', ARGV[4], '') end
return outcomes
