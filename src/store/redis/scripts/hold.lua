-- hold: while somebody holds a log, it is not trimmed: a snapshot that is being made may need what nobody else does.
-- KEYS[1] holds: ZSET, snapshot id -> until when (ms); who died while making one does not hold it for ever
-- ARGV[1] now (ms), or empty
-- ARGV[2] snapshot id, or empty: only asks
-- ARGV[3] for how long (ms); 0 lets go
-- RETURNS how many hold it
-- INCLUDE time
local now = epochMs(ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if ARGV[2] ~= '' then
  if ARGV[3] == '0' then
    redis.call('ZREM', KEYS[1], ARGV[2])
  else
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[2])
  end
end
return redis.call('ZCARD', KEYS[1])
