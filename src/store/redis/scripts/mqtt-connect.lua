-- mqtt-connect: the client is this connection's from now on, whoever had it before.
-- INCLUDE time
-- INCLUDE mqtt-announce
-- INCLUDE mqtt-client
-- ARGV[5] connection
-- ARGV[6] '1': clean start
-- ARGV[7] session expiry (s); 0: a new session is not kept
-- ARGV[8] session id, should a new one begin
-- ARGV[9] that session as it is kept
-- ARGV[10] how many sessions may be kept
-- ARGV[11] will delay (s); empty: no will
-- ARGV[12] will message
-- RETURNS {'dead'}: this node was declared dead, nothing changed
-- RETURNS {'full'}: no room for one more session, nothing changed
-- RETURNS {'ok', session id, 1 if present, kept session, generation, now, earlier connection, what it said was sent,
--          {will id, message} to send or {}, node that has the earlier connection, 1 if that node is alive, session that ended}
if isDead(caller) then return {'dead'} end
local token, expirySeconds = ARGV[5], tonumber(ARGV[7])
local conn, sid, kept, node, endMs, delay, dueMs, sent =
  unpack(redis.call('HMGET', client, 'conn', 'sid', 'kept', 'node', 'end', 'wd', 'wdue', 'sent'))
local isNew = not kept or ARGV[6] == '1' or (not node and tonumber(endMs) <= now)
local more = (isNew and expirySeconds > 0 and 1 or 0) - (isNew and kept and 1 or 0)
if more > 0 and redis.call('HLEN', sessions) + more > tonumber(ARGV[10]) then return {'full'} end

local will = {}
if delay then
  local isOwed = isNew or (node and tonumber(delay) == 0) or (not node and tonumber(dueMs) <= now)
  if isOwed then will = takeWill() else dropWill() end
end
if node then
  redis.call('ZREM', connected, node .. '\0' .. clientId)
  if node ~= caller then tell('replaced', node, clientId, conn, caller, token) end
end
local endedId = ''
if isNew then
  if conn then endedId = endSession() end
  sid = ARGV[8]
  redis.call('HSET', client, 'sid', sid)
  if expirySeconds > 0 then
    redis.call('HSET', client, 'kept', 1)
    redis.call('HSET', sessions, clientId, ARGV[9])
    tell('begun', clientId, ARGV[9])
  end
end
redis.call('HSET', client, 'conn', token, 'node', caller, 'exp', ARGV[7])
redis.call('HDEL', client, 'end', 'sent')
if ARGV[11] ~= '' then
  redis.call('HSET', client, 'wd', ARGV[11])
  redis.call('HSET', wills, clientId, ARGV[12])
end
redis.call('ZREM', due, clientId)
redis.call('ZADD', connected, 0, caller .. '\0' .. clientId)
local generation = redis.call('HINCRBY', client, 'gen', 1)
local aliveUntilMs = node and tonumber(redis.call('ZSCORE', nodes, node) or 0) or 0
return {'ok', sid, isNew and 0 or 1, redis.call('HGET', sessions, clientId) or '', generation, string.format('%.0f', now),
  conn or '', sent or '', will, node or '', aliveUntilMs > now and 1 or 0, endedId}
