-- forget-before: lets the dedupe keys go that were written before a time, so many a call.
-- KEYS[1] dedupe
-- KEYS[2] dedupe ages
-- ARGV[1] time (ms)
-- ARGV[2] most keys a call
-- RETURNS how many there were; as many as ARGV[2] means that there may be more
local keys = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[1], 'LIMIT', 0, ARGV[2])
for _, key in ipairs(keys) do
  redis.call('HDEL', KEYS[1], key)
  redis.call('ZREM', KEYS[2], key)
end
return #keys
