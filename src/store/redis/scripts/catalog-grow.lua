-- catalog-grow: tells that a topic has more partitions, once they are there and every subscription has its state on them.
-- KEYS[1] topics
-- KEYS[2] logs
-- KEYS[3] names of the subscriptions of this topic
-- ARGV[1] name
-- ARGV[2] topic id
-- ARGV[3] partitions before
-- ARGV[4] partitions now
-- ARGV[5] channel, ARGV[6] who says so
-- ARGV[7…] names of the subscriptions that have their state
-- RETURNS {'ok', names of its subscriptions…}; {'gone'}: no such topic any more; {'again'}: it has other partitions or
--   more subscriptions by now
local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or string.match(record, '^%S+') ~= ARGV[2] then return {'gone'} end
if redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[3] then return {'again'} end
local equipped = {}
for i = 7, #ARGV do equipped[ARGV[i]] = true end
local readers = redis.call('ZRANGE', KEYS[3], 0, -1)
for _, name in ipairs(readers) do
  if not equipped[name] then return {'again'} end
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[4])
local changed = {ARGV[6], ARGV[1]}
for _, name in ipairs(readers) do changed[#changed + 1] = name end
redis.call('PUBLISH', ARGV[5], table.concat(changed, '\n'))
table.insert(readers, 1, 'ok')
return readers
