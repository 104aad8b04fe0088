-- mqtt-adopt: looks through the wills that were taken and not yet sent, and takes those whose node has died.
-- KEYS[1] HASH will id -> packed node, client id, message
-- KEYS[2] ZSET node -> ms: alive until then; -1: dead
-- ARGV[1] the calling node
-- ARGV[2] cursor; 0 to begin
-- ARGV[3] about how many to look at
-- RETURNS {next cursor, {will id, packed}… that were adopted, {will id}… that the caller had taken already}
-- INCLUDE mqtt-announce
local page = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
local adopted, own = {}, {}
for i = 1, #page[2], 2 do
  local id, will = page[2][i], page[2][i + 1]
  local nodeBytes = struct.unpack('>I4', will)
  local node = string.sub(will, 5, 4 + nodeBytes)
  if node == ARGV[1] then
    own[#own + 1] = id
  elseif tonumber(redis.call('ZSCORE', KEYS[2], node) or -1) < 0 then
    will = packed(ARGV[1]) .. string.sub(will, 5 + nodeBytes)
    redis.call('HSET', KEYS[1], id, will)
    adopted[#adopted + 1] = {id, will}
  end
end
return {page[1], adopted, own}
