-- mqtt-disconnect: a connection is over. Changes nothing when another has the client.
-- INCLUDE time
-- INCLUDE mqtt-announce
-- INCLUDE mqtt-client
-- ARGV[5] connection
-- ARGV[6] '1': its will is to be sent
-- ARGV[7] session expiry (s); empty: as it was
-- ARGV[8] the highest number of a queued message that was sent to the client; empty: not known
-- RETURNS {{will id, message} to send now or {}, session that ended or ''}
if redis.call('HGET', client, 'conn') ~= ARGV[5] then return {{}, ''} end
local expirySeconds = tonumber(ARGV[7] ~= '' and ARGV[7] or redis.call('HGET', client, 'exp'))
if ARGV[8] ~= '' then redis.call('HSET', client, 'sent', ARGV[8]) end
return {depart(ARGV[6] == '1', expirySeconds)}
