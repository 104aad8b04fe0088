-- log-drop: removes the log of a deleted topic, once it is empty.
-- KEYS[1] log
-- KEYS[2] meta
-- KEYS[3] dedupe
-- KEYS[4] dedupe ages
-- RETURNS 1: it is gone; 0: there is something in it, or its topic was not deleted
local first, head, retired = unpack(redis.call('HMGET', KEYS[2], 'f', 'h', 'r'))
if not head then return 1 end
if not retired or tonumber(first) < tonumber(head) then return 0 end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
return 1
