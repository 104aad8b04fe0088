-- catalog-reader-add: gives a subscription or a snapshot its name, once its state is on every partition.
-- KEYS[1] subscriptions or snapshots: HASH, name -> '<id> <topic id> <definition as JSON>'
-- KEYS[2] their names: ZSET, all scores 0
-- KEYS[3] their names, those of this topic: ZSET
-- KEYS[4] logs
-- KEYS[5] what it is made of: topics for a subscription, subscriptions for a snapshot
-- KEYS[6] last use
-- ARGV[1] name
-- ARGV[2] record
-- ARGV[3] topic id
-- ARGV[4] partitions that have its state
-- ARGV[5] name of what it is made of, ARGV[6] the id of that
-- ARGV[7] last use (ms) of a subscription, ARGV[8] its id; empty for a snapshot
-- ARGV[9] channel, ARGV[10] who says so
-- RETURNS 'ok'; 'exists'; 'gone': what it is made of; 'again': the topic has other partitions by now
local source = redis.call('HGET', KEYS[5], ARGV[5])
if not source or string.match(source, '^%S+') ~= ARGV[6] then return 'gone' end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'exists' end
if redis.call('HGET', KEYS[4], ARGV[3]) ~= ARGV[4] then return 'again' end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
if ARGV[7] ~= '' then redis.call('HSET', KEYS[6], ARGV[8], ARGV[7]) end
redis.call('PUBLISH', ARGV[9], ARGV[10] .. '\n' .. ARGV[1])
return 'ok'
