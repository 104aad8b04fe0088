-- Included: what a restored subscription had acked past its cursor. Wants the local A (key) and state.lua.
--
-- LIST a: the runs of acked offsets, each `first u48, count u48` (big endian), in order; all of them past the cursor.
local rangesMax = 1000 -- read in one go

-- The cursor never stands on an acked message, so it is the first unacked offset when nothing is out.
local function stepOverAcked()
  while state.a > 0 do
    local passed = 0
    for _, range in ipairs(redis.call('LRANGE', A, 0, rangesMax - 1)) do
      local first, count = struct.unpack('>I6I6', range)
      if first > state.c then break end
      passed = passed + 1
      state.c = math.max(state.c, first + count)
      state.a = state.a - count
    end
    if passed > 0 then redis.call('LTRIM', A, passed, -1) end
    if passed < rangesMax then return end
  end
end
