-- mqtt-receive: the subscriber has received these messages; they stay until they are settled.
-- INCLUDE mqtt-queue
-- ARGV[1…] numbers
-- RETURNS nil
for i = 1, #ARGV do
  if redis.call('XRANGE', messages, ARGV[i], ARGV[i], 'COUNT', 1)[1] then redis.call('SADD', received, ARGV[i]) end
end
-- A write in any case, which is what replicas are asked about.
if redis.call('HEXISTS', queue, 'gen') == 1 then redis.call('HINCRBY', queue, 'count', 0) end
return false
