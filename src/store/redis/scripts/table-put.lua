-- table-put: puts a value into a table.
-- KEYS[1] values: HASH
-- KEYS[2] keys: ZSET, all scores 0
-- ARGV[1] key
-- ARGV[2] value as JSON
-- RETURNS 1
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return 1
