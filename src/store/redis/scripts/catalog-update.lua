-- catalog-update: replaces a definition; ids stay.
-- KEYS[1] topics, subscriptions or snapshots
-- ARGV[1] name
-- ARGV[2] definition as JSON
-- ARGV[3] channel, ARGV[4] who says so
-- RETURNS 1; 0: there is none of that name
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], string.match(record, '^%S+ %S+ ') .. ARGV[2])
redis.call('PUBLISH', ARGV[3], ARGV[4] .. '\n' .. ARGV[1])
return 1
