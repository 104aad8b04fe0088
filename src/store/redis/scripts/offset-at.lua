-- offset-at: the first offset that was published at or after a time. Publish times never decrease along the log.
-- KEYS[1] log
-- KEYS[2] meta
-- ARGV[1] time (ms)
-- RETURNS the offset, the head when there is none; nil: there is no such log
local first, head = unpack(redis.call('HMGET', KEYS[2], 'f', 'h'))
if not head then return false end
local low, high = tonumber(first), tonumber(head)
while low < high do
  local middle = string.format('%d', math.floor((low + high) / 2))
  local entry = redis.call('XREVRANGE', KEYS[1], middle, '-', 'COUNT', 1)[1]
  local start, ms = string.match(entry[1], '^(%d+)-(%d+)$')
  if tonumber(ms) >= tonumber(ARGV[1]) then
    high = tonumber(start)
  else
    low = tonumber(start) + tonumber(entry[2][2])
  end
end
return low
