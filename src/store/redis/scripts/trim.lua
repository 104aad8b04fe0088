-- trim: removes batches that lie wholly before an offset; so many a call that nobody waits long behind it.
-- KEYS[1] log
-- KEYS[2] meta
-- ARGV[1] offset
-- ARGV[2] most batches a call, about
-- ARGV[3] how often a subscription had been moved when it was decided on
-- RETURNS 1: there is more to remove; 0: done, or there is no such log, or one was moved since
local head, bytes, moves = unpack(redis.call('HMGET', KEYS[2], 'h', 'b', 'mv'))
if not head or (moves or '0') ~= ARGV[3] then return 0 end

local holding = redis.call('XREVRANGE', KEYS[1], ARGV[1], '-', 'COUNT', 1)[1]
if not holding then return 0 end
local boundary = tonumber(string.match(holding[1], '^%d+'))
local past = boundary + tonumber(holding[2][2])
if past <= tonumber(ARGV[1]) then boundary = past end
boundary = string.format('%d', boundary)

-- Whole nodes of the stream first, which is what LIMIT can bound; then what is left of the last node.
local removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', boundary, 'LIMIT', ARGV[2])
if removed == 0 then redis.call('XTRIM', KEYS[1], 'MINID', '=', boundary) end

local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
if first then
  redis.call('HSET', KEYS[2], 'f', string.match(first[1], '^%d+'), 'fb', first[2][4])
else
  redis.call('HSET', KEYS[2], 'f', head, 'fb', bytes)
end
return removed == 0 and 0 or 1
