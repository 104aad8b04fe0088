-- log-retire: the topic is deleted: what is in the log is still read, nothing more comes.
-- KEYS[1] meta
-- ARGV[1] wake channel: whoever waits for messages looks again
-- RETURNS 1; 0: there is no such log
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'r', 1)
redis.call('PUBLISH', ARGV[1], '')
return 1
