-- mqtt-reclaim: a node that may have been declared dead asks for a client that is connected to it.
-- INCLUDE time
-- INCLUDE mqtt-announce
-- INCLUDE mqtt-client
-- ARGV[5] connection
-- ARGV[6] session id
-- ARGV[7] '1': the session is kept
-- RETURNS generation: the client is this connection's; a higher one than before: again
-- RETURNS 0: this node counts as dead and has to join first
-- RETURNS nil: another connection has the client, or its session has ended
if isDead(caller) then return 0 end
local conn, node = unpack(redis.call('HMGET', client, 'conn', 'node'))
if conn and conn ~= ARGV[5] then return false end
if not conn then
  -- Nothing is lost with a session that is not kept; its will, if it had one, is sent.
  if ARGV[7] == '1' then return false end
  redis.call('HSET', client, 'conn', ARGV[5], 'sid', ARGV[6], 'exp', 0)
end
if node == caller then return tonumber(redis.call('HGET', client, 'gen')) end
redis.call('HSET', client, 'node', caller)
redis.call('HDEL', client, 'end', 'wdue', 'sent')
redis.call('ZREM', due, clientId)
redis.call('ZADD', connected, 0, caller .. '\0' .. clientId)
return redis.call('HINCRBY', client, 'gen', 1)
