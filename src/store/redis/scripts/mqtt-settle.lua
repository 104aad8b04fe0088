-- mqtt-settle: removes messages.
-- INCLUDE mqtt-queue
-- ARGV[1…] numbers
-- RETURNS nil
local count, bytes = 0, 0
local someReceived = redis.call('EXISTS', received) == 1
for i = 1, #ARGV do
  local entry = redis.call('XRANGE', messages, ARGV[i], ARGV[i], 'COUNT', 1)[1]
  if entry then
    count, bytes = count + 1, bytes + #entry[2][2]
    redis.call('XDEL', messages, entry[1])
    if someReceived then redis.call('SREM', received, ARGV[i]) end
  end
end
if count > 0 then
  redis.call('HINCRBY', queue, 'count', -count)
  redis.call('HINCRBY', queue, 'bytes', -bytes)
end
return false
