-- catalog-log-drop: forgets the logs of a deleted topic, once they are gone.
-- KEYS[1] logs
-- KEYS[2] orphans
-- ARGV[1] topic id
-- RETURNS 1
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
