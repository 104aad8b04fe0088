-- catalog-topic-add: gives a topic its name, once its logs are there.
-- KEYS[1] topics: HASH, name -> '<topic id> <topic id> <definition as JSON>'
-- KEYS[2] names of topics: ZSET, all scores 0
-- KEYS[3] logs: HASH, topic id -> partitions
-- ARGV[1] name
-- ARGV[2] record
-- ARGV[3] topic id
-- ARGV[4] partitions
-- ARGV[5] channel, ARGV[6] who says so
-- RETURNS 'ok'; 'exists'
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 'exists' end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
redis.call('PUBLISH', ARGV[5], ARGV[6] .. '\n' .. ARGV[1])
return 'ok'
