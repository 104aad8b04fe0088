-- catalog-topic-remove: takes a topic's name away, once its logs take nothing more. Its logs stay as an orphan's.
-- KEYS[1] topics
-- KEYS[2] names of topics
-- KEYS[3] logs
-- KEYS[4] orphans: SET of topic ids
-- KEYS[5] names of the subscriptions of this topic
-- ARGV[1] name
-- ARGV[2] topic id
-- ARGV[3] partitions that take nothing more
-- ARGV[4] channel, ARGV[5] who says so
-- RETURNS {'ok', names of its subscriptions…}; {'gone'}: no such topic any more; {'again'}: it has other partitions
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or string.match(record, '^%S+') ~= ARGV[2] then return {'gone'} end
if redis.call('HGET', KEYS[3], ARGV[2]) ~= ARGV[3] then return {'again'} end
local readers = redis.call('ZRANGE', KEYS[5], 0, -1)
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SADD', KEYS[4], ARGV[2])
local changed = {ARGV[5], ARGV[1]}
for _, name in ipairs(readers) do changed[#changed + 1] = name end
redis.call('PUBLISH', ARGV[4], table.concat(changed, '\n'))
table.insert(readers, 1, 'ok')
return readers
