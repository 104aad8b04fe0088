-- mqtt-end: removes the queue of a session that has ended, and marks that there will never be one again.
-- INCLUDE mqtt-queue
-- ARGV[1] how long the mark stays (ms): longer than a call that knew the session alive can be on its way
-- RETURNS nil
redis.call('UNLINK', messages, received)
redis.call('DEL', queue)
redis.call('HSET', queue, 'ended', 1)
redis.call('PEXPIRE', queue, ARGV[1])
return false
