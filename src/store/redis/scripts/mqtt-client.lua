-- Included, after time.lua and mqtt-announce.lua, by the scripts that change one client; their first keys and arguments are these.
-- KEYS[1] HASH, the client: conn (the connection that has it, or had it last); node (absent: away); gen (how often it
--         connected); sid, kept (1: the session outlives connections), exp (s), end (ms: when it expires; while away);
--         wd (s: the will's delay), wdue (ms: when a waiting will is due); sent (what its last disconnect said)
-- KEYS[2] HASH client id -> kept session, packed by Node: session id, subscriptions
-- KEYS[3] HASH client id -> message of its will
-- KEYS[4] ZSET client id -> ms: when time next does something to a client that is away
-- KEYS[5] ZSET of '<node>\0<client id>', scores 0: who is connected where
-- KEYS[6] HASH will id -> packed node, client id, message: taken by that node, not yet sent
-- KEYS[7] ZSET session id -> ms: ended then; its queue may still be there
-- KEYS[8] ZSET node -> ms: alive until then; -1: dead, and some of it is still here
-- KEYS[9] STRING, number of the last announcement
-- ARGV[1] now (ms); empty: this server's time
-- ARGV[2] channel of announcements
-- ARGV[3] the calling node
-- ARGV[4] client id
local client, sessions, wills, due, connected, taken, ended, nodes, announced = unpack(KEYS)
local now, channel, caller, clientId = epochMs(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]

local function tell(...)
  return announce(announced, channel, 'clients', ...)
end

local function isDead(node)
  local untilMs = redis.call('ZSCORE', nodes, node)
  return not untilMs or tonumber(untilMs) < 0
end

-- A will leaves the client for the caller, who has to send it. Its id is that of its connection, which had no other.
local function takeWill()
  local message = redis.call('HGET', wills, clientId)
  if not message then return {} end
  local id = redis.call('HGET', client, 'conn')
  redis.call('HDEL', wills, clientId)
  redis.call('HDEL', client, 'wd', 'wdue')
  redis.call('HSET', taken, id, packed(caller, clientId, message))
  return {id, message}
end

local function dropWill()
  redis.call('HDEL', wills, clientId)
  redis.call('HDEL', client, 'wd', 'wdue')
end

-- Returns the session id if there is a queue to remove.
local function endSession()
  local sid, kept = unpack(redis.call('HMGET', client, 'sid', 'kept'))
  redis.call('DEL', client)
  redis.call('ZREM', due, clientId)
  if not kept then return '' end
  redis.call('HDEL', sessions, clientId)
  redis.call('ZADD', ended, now, sid)
  tell('ended', sid)
  return sid
end

-- The connection is over. Of a client that is away already (its node was declared dead) nothing is put off any further.
-- Returns the will, if it is to be sent now, and the session id, if it ended.
local function depart(sendWill, expirySeconds)
  local node, kept, endMs, delay, dueMs = unpack(redis.call('HMGET', client, 'node', 'kept', 'end', 'wd', 'wdue'))
  if node then redis.call('ZREM', connected, node .. '\0' .. clientId) end
  redis.call('HDEL', client, 'node')
  if not sendWill then dropWill() end
  if not kept or expirySeconds == 0 then return takeWill(), endSession() end
  local function sooner(earlier, seconds)
    return math.min(earlier and tonumber(earlier) or math.huge, now + seconds * 1000)
  end
  endMs = sooner(endMs, expirySeconds)
  redis.call('HSET', client, 'exp', expirySeconds, 'end', endMs)
  local will, nextMs = {}, endMs
  if sendWill and delay and tonumber(delay) == 0 then
    will = takeWill()
  elseif sendWill and delay then
    nextMs = math.min(endMs, sooner(dueMs, tonumber(delay)))
    redis.call('HSET', client, 'wdue', nextMs)
  end
  redis.call('ZADD', due, nextMs, clientId)
  return will, ''
end
