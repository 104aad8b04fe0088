-- Included: a page of a ZSET whose scores are all 0, so that it is in the order of its members.
-- Returns the members that start with `prefix` after `after`, at most `limit`, and 1 if there are more.
local function namesAfter(key, prefix, after, limit)
  local from = after > prefix and '(' .. after or '[' .. prefix
  local names = redis.call('ZRANGEBYLEX', key, from, '(' .. prefix .. '\255', 'LIMIT', 0, limit + 1)
  if #names <= limit then return names, 0 end
  names[#names] = nil
  return names, 1
end
