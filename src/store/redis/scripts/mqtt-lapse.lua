-- mqtt-lapse: does to a client what time has done to it: its node died, its will is due, its session has expired.
-- INCLUDE time
-- INCLUDE mqtt-announce
-- INCLUDE mqtt-client
-- ARGV[5] a dead node that the client may be connected to; or empty
-- RETURNS {{will id, message} to send now or {}, session that ended or ''}
local node, exp, endMs, dueMs = unpack(redis.call('HMGET', client, 'node', 'exp', 'end', 'wdue'))
if node and isDead(node) then return {depart(true, tonumber(exp))} end
if ARGV[5] ~= '' and node ~= ARGV[5] then redis.call('ZREM', connected, ARGV[5] .. '\0' .. clientId) end
if not endMs then
  redis.call('ZREM', due, clientId)
  return {{}, ''}
end
if tonumber(endMs) <= now then return {takeWill(), endSession()} end
local will = {}
if dueMs and tonumber(dueMs) <= now then will, dueMs = takeWill(), false end
redis.call('ZADD', due, dueMs or endMs, clientId)
return {will, ''}
