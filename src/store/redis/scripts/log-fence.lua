-- log-fence: from now on appends that were placed among fewer partitions are refused. The number never shrinks.
-- KEYS[1] meta
-- ARGV[1] partitions of the topic
-- RETURNS 1; 0: there is no such log
local partitions = redis.call('HGET', KEYS[1], 'p')
if not partitions then return 0 end
redis.call('HSET', KEYS[1], 'p', math.max(tonumber(partitions), tonumber(ARGV[1])))
return 1
