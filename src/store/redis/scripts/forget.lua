-- forget: lets dedupe keys go.
-- KEYS[1] dedupe
-- KEYS[2] dedupe ages
-- ARGV[1…] keys
-- RETURNS how many there were
local found = 0
for i = 1, #ARGV do
  found = found + redis.call('HDEL', KEYS[1], ARGV[i])
  redis.call('ZREM', KEYS[2], ARGV[i])
end
return found
