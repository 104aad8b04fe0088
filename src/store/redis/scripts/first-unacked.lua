-- Included: the first unacked offset. Wants the local O (key).
local function firstUnacked(state)
  local first = redis.call('ZRANGE', O, 0, 0, 'WITHSCORES')
  return tonumber(first[2] or state.c)
end
