-- lease: hand out what is due, keys that came free, then fresh messages if the cursor is where the caller looked.
-- KEYS[1] m  HASH of the log: h the offset that the next append gets; g its generation, k past all block ids of earlier ones
-- KEYS[2] s  STRING, see state.lua
-- KEYS[3] b  HASH of blocks, see block.lua
-- KEYS[4] z  ZSET of what becomes due, see block-index.lua
-- KEYS[5] o  ZSET of first unacked offsets, see block-index.lua
-- KEYS[6] k  SET of lanes that are out, see lanes.lua
-- KEYS[7] q  HASH of what waits in lanes, see lanes.lua
-- KEYS[8] p  ZSET of more that waits, see lanes.lua
-- KEYS[9] a  LIST of what was acked past the cursor, see acked-ahead.lua
-- ARGV[1] now (epoch ms), empty: the server's
-- ARGV[2] ten f64 (big endian; one argument, as each costs more than its text): most messages; ack deadline (ms); least and
--   most backoff (ms), -1: none; only due messages whose new attempt would be at least this, and nothing fresh, 0: all;
--   the fresh range, its first offset and how many, 0 and 0: none; heldMax; blocksMax; parkedMax
-- ARGV[3] the messages of the range that are not to be handed out, a byte each, 1: skip; empty: none
-- ARGV[4] their lanes, u32 each; empty: not ordered
-- ARGV[5] the generation that the range was read in; empty: any
-- RETURNS nil: no such subscription; else epoch, cursor, head, when something is due next (0: nothing), 1 when a limit was
--   met, deadline, 1 when there was room but more was due than one call looks at, generation, then per block: id, first
--   offset, count, lowest attempt, offsets (u32 each, empty: consecutive), attempts (u16 each, empty: all the lowest)
local M, S, B, Z, O, K, Q, P, A = unpack(KEYS)
-- INCLUDE time
-- INCLUDE state
local state = readState()
if not state then return false end
local now = epochMs(ARGV[1])
local room, ackDeadlineMs, retryMin, retryMax, attemptMin, from, count, heldMax, blocksMax, parkedMax =
  struct.unpack('>dddddddddd', ARGV[2])
local deadlineMs = now + ackDeadlineMs
if retryMin < 0 then retryMin, retryMax = nil, nil end
local skip, given = ARGV[3], ARGV[4]
if skip ~= '' and not string.find(skip, '\1', 1, true) then skip = '' end
local head, generation, blocksFrom = unpack(redis.call('HMGET', M, 'h', 'g', 'k'))
head, generation = tonumber(head or 1), generation or ''
-- A failover may have forgotten blocks. Their ids must not come again, or an old ack id would ack another message.
state.b = math.max(state.b, tonumber(blocksFrom or 0))
local limited = 0
local lanes
local more = 0

local nextDueMs = tonumber(redis.call('ZRANGE', Z, 0, 0, 'WITHSCORES')[2] or nil)
local isDue = room > 0 and nextDueMs and nextDueMs <= now
count = math.min(count, head - from)
local isFresh = attemptMin == 0 and from == state.c and room > 0 and count > 0
isFresh = isFresh and (ARGV[5] == '' or ARGV[5] == generation)
-- A block holds a message at least, so there are no more blocks than messages.
if isFresh and (state.h >= heldMax or (state.h >= blocksMax and redis.call('HLEN', B) >= blocksMax)) then
  isFresh, limited = false, 1
end

-- Most leases take the next messages and nothing else; all that follows is for the others. Definitions are most of what a
-- small script costs, so they stand behind it, and what a call does not need is not even defined.
if isFresh and not isDue and skip == '' and given == '' and state.a == 0 then
  count = math.min(count, room)
  local block = struct.pack('>BI6I4H', retryMin and 1 or 0, from, count, 1) -- see block.lua
  if retryMin then block = block .. struct.pack('>I4I4', retryMin, retryMax) end
  local dueMs = deadlineMs + (retryMin and math.min(retryMin, retryMax) or 0)
  state.b, state.c, state.u, state.h = state.b + 1, from + count, state.u + count, state.h + count
  local id = string.format('%.0f', state.b)
  redis.call('HSET', B, id, block)
  redis.call('ZADD', Z, dueMs, id)
  redis.call('ZADD', O, from, id)
  writeState(state)
  nextDueMs = math.min(nextDueMs or dueMs, dueMs)
  return { state.e, state.c, head, nextDueMs, limited, deadlineMs, 0, generation, { state.b, from, count, 1, '', '' } }
end

-- INCLUDE block
-- INCLUDE block-index
-- INCLUDE grant
if state.l == 1 or given ~= '' then
-- INCLUDE lanes
end
if isDue then
-- INCLUDE lease-due
  if attemptMin > 0 then overdue.sweep() else overdue.take() end
  more = overdue.more
end
if isFresh and room > 0 then
-- INCLUDE lease-fresh
  local stepOver
  if state.a > 0 or skip ~= '' then
-- INCLUDE acked-ahead
-- INCLUDE lease-skipped
    local to = from + count
    if state.a > 0 then skip, to = fresh.skipAcked(skip, from, to) end
    count = to - from
    if given == '' then fresh.takeUnskipped(from, count, skip) end
    stepOver = stepOverAcked
  end
  if given ~= '' then
-- INCLUDE lease-ordered
    fresh.takeOrdered(from, count, skip, given)
  elseif skip == '' then
    count = math.min(count, room)
    fresh.block(from, count)
    state.c = from + count
  end
  if stepOver then stepOver() end
end
grant.grantTaken()
nextDueMs = grant.startDeadlines(nextDueMs)
if lanes then lanes.write() end
blocks.write()
blocks.writeIndexes()
writeState(state)
if isDue then nextDueMs = tonumber(redis.call('ZRANGE', Z, 0, 0, 'WITHSCORES')[2] or nil) end
return { state.e, state.c, head, nextDueMs or 0, limited, deadlineMs, more, generation, unpack(grant.replies) }
