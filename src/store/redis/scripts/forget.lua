-- forget: lets dedupe keys go.
-- KEYS[1] dedupe
-- KEYS[2] dedupe ages
-- KEYS[3] meta
-- ARGV[1…] keys
-- RETURNS how many there were
local found = 0
for i = 1, #ARGV do
  found = found + redis.call('HDEL', KEYS[1], ARGV[i])
  redis.call('ZREM', KEYS[2], ARGV[i])
end
if found == 0 then
  -- Perhaps the reply was lost. A write all the same, which changes nothing: replicas are asked about the last write of
  -- a connection. One that a full memory does not forbid.
  redis.call('PEXPIRE', KEYS[3], 60000)
  redis.call('PERSIST', KEYS[3])
end
return found
