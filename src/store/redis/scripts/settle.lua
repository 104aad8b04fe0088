-- Included by ack, modify and nack: the references. Wants state.lua, block.lua and the locals now, strict.
--
-- Packed by `settle-request.ts`, runs of references whose indexes follow each other, big endian:
--   epoch f64, block f64, index f64, count f64, offset f64, listed u8, and when listed the low 32 bits of each offset (u32);
--   else the offsets follow each other too.
-- One outcome each: o ok, s stale, u unordered; a single letter stands for all of a run.
local settle = {}

function settle.isOut(block, index)
  local current = blocks.stateAt(block, index)
  return current == cell.leased or current == cell.own
end

-- Whether the lease of this delivery still holds.
function settle.holds(block, index)
  local current = blocks.stateAt(block, index)
  if current == cell.gone or current == cell.nacked or current == cell.released then return false end
  return not strict or blocks.deadlineOf(block, index) > now
end

function settle.hasOffsets(block, run)
  if run.index + run.count > block.n then return false end
  if not block.offsets then return not run.offsets and block.first + run.index == run.offset end
  local mine = string.sub(block.offsets, run.index * 4 + 1, (run.index + run.count) * 4)
  return run.offsets == mine
end

function settle.hasOffset(block, run, at)
  local index = run.index + at
  if index >= block.n then return false end
  if not run.offsets then return blocks.offsetAt(block, index) == run.offset + at end
  return blocks.offsetAt(block, index) % 4294967296 == struct.unpack('>I4', run.offsets, at * 4 + 1)
end

function settle.each(block, run, one)
  local outcomes, isSame = {}, true
  for at = 0, run.count - 1 do
    local index = run.index + at
    local isHeld = settle.hasOffset(block, run, at) and settle.holds(block, index)
    outcomes[at + 1] = isHeld and one(block, index) or 's'
    isSame = isSame and outcomes[at + 1] == outcomes[1]
  end
  return isSame and outcomes[1] or table.concat(outcomes)
end

-- `whole(block, index, count)` settles a run without looking at each message, or returns false; `one(block, index)`
-- settles one message that the reference holds, and returns the outcome.
function settle.runs(packed, whole, one)
  local outcomes, at = {}, 1
  while at <= #packed do
    local run, epoch, id, listed = {}, nil, nil, nil
    epoch, id, run.index, run.count, run.offset, listed, at = struct.unpack('>dddddB', packed, at)
    if listed == 1 then
      run.offsets = string.sub(packed, at, at + run.count * 4 - 1)
      at = at + run.count * 4
    end
    local block = epoch == state.e and blocks.open(digits(id))
    if not block or block.back > 0 then
      outcomes[#outcomes + 1] = 's'
    elseif settle.hasOffsets(block, run) and whole(block, run.index, run.count) then
      outcomes[#outcomes + 1] = 'o'
    else
      outcomes[#outcomes + 1] = settle.each(block, run, one)
    end
  end
  return outcomes
end
