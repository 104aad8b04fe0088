-- Included by lease: fresh messages of which some are not handed out. Wants lease-fresh.lua and acked-ahead.lua.

-- Marks in `skip` what was acked before a restore put the cursor back. Returns it and the end of what may be handed out.
function fresh.skipAcked(skip, from, to)
  if skip == '' then skip = string.rep('\0', to - from) end
  for at, range in ipairs(redis.call('LRANGE', A, 0, rangesMax - 1)) do
    local first, count = struct.unpack('>I6I6', range)
    if first >= to then break end
    local length = math.min(count, to - first)
    skip = string.sub(skip, 1, first - from) .. string.rep('\1', length) .. string.sub(skip, first - from + length + 1)
    if at == rangesMax then return skip, first + length end
  end
  return skip, to
end

-- The offsets between those to skip, as many as there is room for, and the cursor after them.
function fresh.unskipped(from, count, skip)
  local offsets, at = {}, 1
  while at <= count and #offsets < room do
    local first = string.find(skip, '\0', at, true)
    if not first or first > count then return offsets, from + count end
    local after = string.find(skip, '\1', first, true) or count + 1
    at = math.min(after, count + 1, first + room - #offsets)
    for index = first, at - 1 do
      offsets[#offsets + 1] = from + index - 1
    end
  end
  return offsets, from + at - 1
end

function fresh.takeUnskipped(from, count, skip)
  local offsets, cursor = fresh.unskipped(from, count, skip)
  state.c = cursor
  if #offsets == 0 then return end
  fresh.block(offsets[1], #offsets, not grant.areConsecutive(offsets) and grant.lowBits(offsets) or nil)
end
