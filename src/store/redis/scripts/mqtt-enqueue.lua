-- mqtt-enqueue: appends messages to the queue of a session, as far as they fit.
-- INCLUDE mqtt-queue
-- ARGV[1] how many messages it may hold
-- ARGV[2] how many bytes
-- ARGV[3…] messages
-- RETURNS {node to wake or '', places of those that were not taken, from 0}
local last, count, bytes, node, gen = unpack(redis.call('HMGET', queue, 'last', 'count', 'bytes', 'node', 'gen'))
last, count, bytes = tonumber(last or 0), tonumber(count or 0), tonumber(bytes or 0)
local countMax, bytesMax = gen and tonumber(ARGV[1]) or 0, tonumber(ARGV[2])
local refused = {}
for i = 3, #ARGV do
  local message = ARGV[i]
  if count < countMax and bytes + #message <= bytesMax then
    last, count, bytes = last + 1, count + 1, bytes + #message
    redis.call('XADD', messages, idOf(last), 'm', message)
  else
    refused[#refused + 1] = i - 3
  end
end
if gen then redis.call('HSET', queue, 'last', last, 'count', count, 'bytes', bytes) end
return {node or '', refused}
