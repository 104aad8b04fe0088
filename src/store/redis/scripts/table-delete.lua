-- table-delete: removes a value from a table.
-- KEYS[1] values
-- KEYS[2] keys
-- ARGV[1] key
-- RETURNS 1
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
