-- mqtt-beat: a node shows that it lives, declares others dead that have not for too long, and learns what there is to do.
-- KEYS[1] ZSET node -> ms: alive until then; -1: dead, and some of it is still here
-- KEYS[2] ZSET node -> ms: its beats have come in time since then
-- KEYS[3] ZSET client id -> ms: when time next does something to a client that is away
-- KEYS[4] ZSET of '<node>\0<client id>': who is connected where
-- KEYS[5] ZSET of '<node>\0<filter>': interests
-- KEYS[6] HASH of wills that were taken and not yet sent
-- KEYS[7] ZSET session id -> ms: ended then; its queue may still be there
-- KEYS[8] STRING, number of the last announcement
-- KEYS[9] HASH of kept sessions
-- ARGV[1] now (ms); empty: this server's time
-- ARGV[2] channel of announcements
-- ARGV[3] the calling node
-- ARGV[4] how long a beat is good for (ms)
-- ARGV[5] '1': joins if it is not there, or dead
-- ARGV[6] most clients to name of each kind
-- RETURNS nil: this node was declared dead
-- RETURNS {number of the last announcement, clients that time has done something to, a dead node or '', clients of it,
--          how many wills are taken, sessions whose queues may still be there, how many sessions are kept,
--          1 if it joined with this beat}
-- INCLUDE time
-- INCLUDE mqtt-announce
local nodes, steady, due, connected, interests, taken, ended, announced, sessions = unpack(KEYS)
local now, channel, caller, goodMs, most = epochMs(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[6])

local untilMs = tonumber(redis.call('ZSCORE', nodes, caller) or -1)
if untilMs < 0 then
  if ARGV[5] ~= '1' then return false end
  announce(announced, channel, 'clients', 'joined', caller)
end
if untilMs < now then redis.call('ZADD', steady, now, caller) end
redis.call('ZADD', nodes, now + goodMs, caller)

-- Only a node whose own beats came in time may judge others: when Redis was away, all are late.
if tonumber(redis.call('ZSCORE', steady, caller) or now) <= now - goodMs then
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', nodes, 0, '(' .. string.format('%.0f', now), 'LIMIT', 0, most)) do
    redis.call('ZADD', nodes, -1, node)
    redis.call('ZREM', steady, node)
    announce(announced, channel, 'clients', 'gone', node)
  end
end

local dead = redis.call('ZRANGEBYSCORE', nodes, -1, -1, 'LIMIT', 0, 1)[1] or ''
local clients = {}
if dead ~= '' then
  local from, to = '[' .. dead .. '\0', '(' .. dead .. '\1'
  for i, member in ipairs(redis.call('ZRANGEBYLEX', connected, from, to, 'LIMIT', 0, most)) do
    clients[i] = string.sub(member, #dead + 2)
  end
  local filters = redis.call('ZRANGEBYLEX', interests, from, to, 'LIMIT', 0, most)
  if #filters > 0 then redis.call('ZREM', interests, unpack(filters)) end
  if #clients == 0 and #filters == 0 then redis.call('ZREM', nodes, dead) end
end
local nowText = string.format('%.0f', now)
return {tonumber(redis.call('GET', announced) or 0),
  redis.call('ZRANGEBYSCORE', due, '-inf', nowText, 'LIMIT', 0, most), dead, clients, redis.call('HLEN', taken),
  redis.call('ZRANGEBYSCORE', ended, '-inf', '(' .. nowText, 'LIMIT', 0, most), redis.call('HLEN', sessions), untilMs < 0 and 1 or 0}
