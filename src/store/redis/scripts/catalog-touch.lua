-- catalog-touch: notes that a subscription was used.
-- KEYS[1] subscriptions
-- KEYS[2] last use
-- ARGV[1] name
-- ARGV[2] when (ms)
-- RETURNS 1; 0: there is none of that name
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 0 end
redis.call('HSET', KEYS[2], string.match(record, '^%S+'), ARGV[2])
return 1
