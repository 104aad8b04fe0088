-- catalog-reader-remove: takes the name of a subscription or a snapshot away, once its state is gone.
-- KEYS[1] subscriptions or snapshots
-- KEYS[2] their names
-- KEYS[3] their names, those of this topic
-- KEYS[4] logs
-- KEYS[5] last use: HASH, subscription id -> ms
-- ARGV[1] name
-- ARGV[2] id
-- ARGV[3] topic id
-- ARGV[4] channel, ARGV[5] who says so
-- RETURNS partitions of the topic; 0: it is not there any more
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or string.match(record, '^%S+') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[5], ARGV[2])
redis.call('PUBLISH', ARGV[4], ARGV[5] .. '\n' .. ARGV[1])
return tonumber(redis.call('HGET', KEYS[4], ARGV[3]) or 1)
