-- mqtt-subscribe: writes the session of a connection anew, if the connection still has the client.
-- INCLUDE time
-- INCLUDE mqtt-announce
-- INCLUDE mqtt-client
-- ARGV[5] connection
-- ARGV[6] the session; empty: it is not kept
-- RETURNS number of the announcement; 0: nothing was announced; nil: another connection has the client
if redis.call('HGET', client, 'conn') ~= ARGV[5] then return false end
if ARGV[6] == '' then return 0 end
redis.call('HSET', sessions, clientId, ARGV[6])
return tell('session', caller, clientId, ARGV[6])
