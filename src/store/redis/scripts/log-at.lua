-- log-at: what lies at an offset, or at the first one kept after it.
-- KEYS[1] log
-- KEYS[2] meta
-- ARGV[1] offset
-- RETURNS {publish ms, packed bytes from there to the head, its batch taken as evenly filled}; {}: the offset is past
--   the head, or there is no such log
local first, head, total = unpack(redis.call('HMGET', KEYS[2], 'f', 'h', 'b'))
if not head or tonumber(ARGV[1]) >= tonumber(head) or first == head then return {} end
local offset = math.max(tonumber(ARGV[1]), tonumber(first))
local entry = redis.call('XREVRANGE', KEYS[1], string.format('%d', offset), '-', 'COUNT', 1)[1]
local start, ms = string.match(entry[1], '^(%d+)-(%d+)$')
local count, before, bytes = tonumber(entry[2][2]), tonumber(entry[2][4]), #entry[2][6]
return {tonumber(ms), tonumber(total) - before - math.floor(bytes * (offset - tonumber(start)) / count)}
