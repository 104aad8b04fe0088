-- log-create: makes an empty log, unless it is there.
-- KEYS[1] meta
-- ARGV[1] partitions of the topic
-- RETURNS 1
redis.call('HSETNX', KEYS[1], 'f', 1)
redis.call('HSETNX', KEYS[1], 'ms', 0)
redis.call('HSETNX', KEYS[1], 'b', 0)
redis.call('HSETNX', KEYS[1], 'fb', 0)
redis.call('HSETNX', KEYS[1], 'h', 1)
redis.call('HSET', KEYS[1], 'p', ARGV[1])
return 1
