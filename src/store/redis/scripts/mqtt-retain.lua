-- mqtt-retain: keeps or removes the retained message of a topic.
-- KEYS[1] HASH topic -> message
-- KEYS[2] STRING, bytes of all topics and messages
-- KEYS[3] STRING, number of the last announcement
-- ARGV[1] channel of announcements
-- ARGV[2] topic
-- ARGV[3] '1': keep; '': remove
-- ARGV[4] message
-- ARGV[5] how many there may be
-- ARGV[6] how many bytes
-- RETURNS number of the announcement; nil: no room, nothing changed
-- INCLUDE mqtt-announce
local topic, message = ARGV[2], ARGV[4]
local known = redis.call('HEXISTS', KEYS[1], topic) == 1
local before = known and #topic + redis.call('HSTRLEN', KEYS[1], topic) or 0
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], topic)
  redis.call('DECRBY', KEYS[2], before)
  return announce(KEYS[3], ARGV[1], 'retained', 'removed', topic)
end
local after = #topic + #message
if not known and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return false end
if tonumber(redis.call('GET', KEYS[2]) or 0) - before + after > tonumber(ARGV[6]) then return false end
redis.call('HSET', KEYS[1], topic, message)
redis.call('INCRBY', KEYS[2], after - before)
return announce(KEYS[3], ARGV[1], 'retained', 'kept', topic, message)
