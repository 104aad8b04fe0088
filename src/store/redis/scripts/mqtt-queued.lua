-- mqtt-queued: the oldest messages after a number.
-- INCLUDE mqtt-queue
-- ARGV[1] number; 0: from the oldest
-- ARGV[2] most messages
-- ARGV[3] most bytes; one message comes however large it is
-- RETURNS {1 if there are more behind these, {number, message, 1 if received, number, message, …}}
local count, bytes = unpack(redis.call('HMGET', queue, 'count', 'bytes'))
local after, left, room = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local mean = math.max(1, tonumber(bytes or 0) / math.max(1, tonumber(count or 0)))
local found = {}
while left > 0 and (room > 0 or #found == 0) do
  -- No more at a time than are likely to fit: what XRANGE returns is copied.
  local most = math.max(1, math.min(left, 256, math.floor(room / mean)))
  local page = redis.call('XRANGE', messages, '(' .. idOf(after), '+', 'COUNT', most)
  for _, entry in ipairs(page) do
    local number, message = string.match(entry[1], '^%d+'), entry[2][2]
    if #found > 0 and #message > room then return {1, found} end
    after, left, room = tonumber(number), left - 1, room - #message
    found[#found + 1] = number
    found[#found + 1] = message
    found[#found + 1] = redis.call('SISMEMBER', received, number)
  end
  if #page < most then return {0, found} end
end
return {#redis.call('XRANGE', messages, '(' .. idOf(after), '+', 'COUNT', 1), found}
