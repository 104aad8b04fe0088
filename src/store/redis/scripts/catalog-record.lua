-- Included: a record with what is kept beside it, so that a growth or a deletion of the topic changes one place only.
-- Wants the locals RECORDS, LOGS, ORPHANS, ACTIVE (keys).
local function recordOf(name)
  local record = redis.call('HGET', RECORDS, name)
  if not record then return false end
  local id, topicId = string.match(record, '^(%S+) (%S+) ')
  local partitions = redis.call('HGET', LOGS, topicId) or '1'
  return {record, partitions, redis.call('SISMEMBER', ORPHANS, topicId), redis.call('HGET', ACTIVE, id)}
end
