-- mqtt-attach: makes the queue of a session, if it is not there, and notes which node to wake.
-- INCLUDE mqtt-queue
-- INCLUDE time
-- ARGV[1] now (ms); empty: this server's time
-- ARGV[2] node; empty: none
-- ARGV[3] generation of the connection; an older one changes nothing
-- ARGV[4] when the connection was granted (ms)
-- ARGV[5] how long that may be ago (ms): the marks of ended queues are kept for longer
-- RETURNS 1; nil: the session has ended, or it is too late to make its queue
if redis.call('HEXISTS', queue, 'ended') == 1 then return false end
local known, generation = redis.call('HGET', queue, 'gen'), tonumber(ARGV[3])
if known and tonumber(known) > generation then return 1 end
if not known and epochMs(ARGV[1]) - tonumber(ARGV[4]) > tonumber(ARGV[5]) then return false end
redis.call('HSET', queue, 'node', ARGV[2], 'gen', ARGV[3])
return 1
