-- mqtt-interest: what clients of a node listen to, in changes.
-- KEYS[1] ZSET of '<node>\0<filter>', scores 0
-- KEYS[2] ZSET node -> ms: alive until then; -1: dead
-- KEYS[3] STRING, number of the last announcement
-- ARGV[1] channel of announcements
-- ARGV[2] the calling node
-- ARGV[3…] '+<filter>' or '-<filter>'
-- RETURNS number of the announcement; nil: the node was declared dead, nothing changed
-- INCLUDE mqtt-announce
local node = ARGV[2]
if tonumber(redis.call('ZSCORE', KEYS[2], node) or -1) < 0 then return false end
for i = 3, #ARGV do
  local member = node .. '\0' .. string.sub(ARGV[i], 2)
  if string.sub(ARGV[i], 1, 1) == '+' then redis.call('ZADD', KEYS[1], 0, member)
  else redis.call('ZREM', KEYS[1], member) end
end
return announce(KEYS[3], ARGV[1], 'clients', 'interest', node, unpack(ARGV, 3))
