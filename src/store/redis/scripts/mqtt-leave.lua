-- mqtt-leave: a node goes: the others do with its clients what they do with those of a dead one.
-- KEYS[1] ZSET node -> ms: alive until then; -1: dead, and some of it is still here
-- KEYS[2] ZSET node -> ms: its beats have come in time since then
-- KEYS[3] STRING, number of the last announcement
-- ARGV[1] channel of announcements
-- ARGV[2] the calling node
-- RETURNS nil
-- INCLUDE mqtt-announce
if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or -1) < 0 then return false end
redis.call('ZADD', KEYS[1], -1, ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[2])
announce(KEYS[3], ARGV[1], 'clients', 'gone', ARGV[2])
return false
