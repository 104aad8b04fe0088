-- Included: what a block is.
--
-- HASH b: block id -> block, big endian, read by `lease-block.ts` too:
--   flags u8, first u48, n u32, attempt u16; then, by flag:
--    1 retry     u32 minimum, u32 maximum backoff (ms)
--    2 offsets   n × u32, the low 32 bits; else first, first + 1, …
--    4 attempts  n × u16; else all have `attempt`, which otherwise is the lowest of them
--    8 states    n × one digit, below; else all leased
--   16 lanes     n × 4 bytes, zeroes for none; else none has one
--   32, 64       the whole block was given back: counted, not counted. Its `leased` messages wait for its due time.
local cell = {
  leased = '0', -- out, due with the block
  own = '1', -- out, with a deadline of its own
  nacked = '2', -- given back, waits for its time
  released = '3', -- the same, and the delivery does not count as an attempt
  ahead = '4', -- acked, but an earlier message of its lane is not
  gone = '5', -- acked, or handed out again in another block
}
local noLane = '\0\0\0\0'
local attemptMax = 65535 -- a u16; more are not told apart
local argumentsMax = 1000 -- even; Lua's stack takes some 8,000

-- Functions are in tables: Lua 5.1 makes each anew on every call, and one that names many locals costs a walk per name.
-- walked: messages of blocks through which this call went one by one.
local blocks = { walked = 0 }

function blocks.inChunks(command, key, list)
  for from = 1, #list, argumentsMax do
    redis.call(command, key, unpack(list, from, math.min(from + argumentsMax - 1, #list)))
  end
end

-- `number` as digits; `..` would write large ones with an exponent.
local function digits(number)
  return string.format('%.0f', number)
end

-- Packs a list of numbers, each as `format` says.
function blocks.packAll(format, list)
  local packed = {}
  for from = 1, #list, argumentsMax do
    local to = math.min(from + argumentsMax - 1, #list)
    packed[#packed + 1] = struct.pack('>' .. string.rep(format, to - from + 1), unpack(list, from, to))
  end
  return table.concat(packed)
end

local function backoffMs(retryMin, retryMax, attempt)
  if not retryMin then return 0 end
  return math.min(retryMin * 2 ^ math.min(attempt - 1, 30), retryMax)
end

function blocks.offsetAt(block, index)
  if not block.offsets then return block.first + index end
  local low = struct.unpack('>I4', block.offsets, index * 4 + 1)
  return block.first + (low - block.first) % 4294967296
end

function blocks.attemptAt(block, index)
  if not block.attempts then return block.attempt end
  return (struct.unpack('>H', block.attempts, index * 2 + 1))
end

function blocks.laneAt(block, index)
  local lane = block.lanes and string.sub(block.lanes, index * 4 + 1, index * 4 + 4)
  return lane ~= noLane and lane or nil
end

function blocks.stateAt(block, index)
  if block.cells then return block.cells[index + 1] end
  if block.states then return string.sub(block.states, index + 1, index + 1) end
  return cell.leased
end

function blocks.setState(block, index, state)
  if not block.cells then
    block.cells = {}
    for at = 1, block.n do
      block.cells[at] = block.states and string.sub(block.states, at, at) or cell.leased
    end
  end
  block.cells[index + 1] = state
  block.dirty = true
end

function blocks.statesOf(block)
  if block.cells then
    block.states = table.concat(block.cells)
    block.cells = nil
  end
  return block.states
end

-- Without a loop over the messages between.
function blocks.setStates(block, index, count, state)
  local states = blocks.statesOf(block) or string.rep(cell.leased, block.n)
  block.states = string.sub(states, 1, index) .. string.rep(state, count) .. string.sub(states, index + count + 1)
  block.dirty = true
end

-- Whether none of the messages has changed its state alone.
function blocks.areLeased(block, index, count)
  local states = blocks.statesOf(block)
  return not states or string.sub(states, index + 1, index + count) == string.rep(cell.leased, count)
end

function blocks.unpack(id, packed)
  local flags, first, n, attempt, at = struct.unpack('>BI6I4H', packed)
  local block = { id = id, first = first, n = n, attempt = attempt, live = first, back = 0 }
  if flags == 0 then return block end
  local function section(flag, width)
    if bit.band(flags, flag) == 0 then return nil end
    at = at + n * width
    return string.sub(packed, at - n * width, at - 1)
  end
  if bit.band(flags, 1) > 0 then block.retryMin, block.retryMax, at = struct.unpack('>I4I4', packed, at) end
  block.offsets = section(2, 4)
  block.attempts = section(4, 2)
  block.states = section(8, 1)
  block.lanes = section(16, 4)
  block.back = bit.rshift(flags, 5)
  if block.states then block.live = blocks.offsetAt(block, string.find(block.states, '[^5]') - 1) end
  return block
end

function blocks.pack(block)
  local flags = (block.retryMin and 1 or 0) + (block.offsets and 2 or 0) + (block.attempts and 4 or 0)
  flags = flags + (block.states and 8 or 0) + (block.lanes and 16 or 0) + block.back * 32
  local head = struct.pack('>BI6I4H', flags, block.first, block.n, math.min(block.attempt, attemptMax))
  if flags == 0 then return head end
  local retry = block.retryMin and struct.pack('>I4I4', block.retryMin, block.retryMax) or ''
  return head .. retry .. (block.offsets or '') .. (block.attempts or '') .. (block.states or '') .. (block.lanes or '')
end

-- For each message of a lane, the one before and the one after it in the block.
function blocks.linkLanes(block)
  if block.before then return end
  blocks.walked = blocks.walked + block.n
  local before, after, last = {}, {}, {}
  for index = 0, block.n - 1 do
    local lane = blocks.laneAt(block, index)
    if lane then
      before[index] = last[lane]
      if last[lane] then after[last[lane]] = index end
      last[lane] = index
    end
  end
  block.before, block.after = before, after
end
