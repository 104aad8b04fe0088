-- append: one group commit of one log. Parts are packed into batches in the order given, next to each other.
-- All of it or nothing is written: everything is decided first and written afterwards.
-- KEYS[1] log
-- KEYS[2] meta
-- KEYS[3] dedupe: HASH, key -> '<first offset> <publish ms>'
-- KEYS[4] dedupe ages: ZSET, key -> when it was written (ms)
-- KEYS[5] what this node's last commit here was answered: cmsgpack {number, answer}
-- ARGV[1] now (ms), or empty
-- ARGV[2] number of the commit: a node's numbers only grow
-- ARGV[3] wake channel
-- ARGV[4] most bytes of a batch that has more than one part
-- ARGV[5] how long the answer is remembered (ms)
-- ARGV[6…] per part: records, partitions it was placed among (0: any), dedupe key (empty: none), packed records
-- RETURNS 'ok' and per part: 0 stored, 1 duplicate, 2 placed among fewer partitions than there are; then first offset
--   and publish ms of what is stored (of 2: the partitions and 0). Or 'gone': no such log, or its topic was deleted.
--   Or 'late': this node has gone on to a later commit, so nobody waits for this one, and nothing of it is written.
-- INCLUDE time

local last = redis.call('GET', KEYS[5])
if last then
  local number, answer = unpack(cmsgpack.unpack(last))
  if number > tonumber(ARGV[2]) then return {'late'} end
  if number == tonumber(ARGV[2]) then
    -- The reply was lost. A write all the same: replicas are asked about the last write of a connection.
    redis.call('PEXPIRE', KEYS[5], ARGV[5])
    return answer
  end
end

-- More than any partition ever leases: so the block ids of a generation lie past those of the one before.
local blocksPerMs = 64
local head, lastMs, bytesBefore, partitions, retired, generationBefore, blocksFrom =
  unpack(redis.call('HMGET', KEYS[2], 'h', 'ms', 'b', 'p', 'r', 'g', 'k'))
if not head or retired then return {'gone'} end
head, bytesBefore, partitions = tonumber(head), tonumber(bytesBefore), tonumber(partitions)
local now = epochMs(ARGV[1])
local publishMs = math.max(tonumber(lastMs), now)

local answer = {'ok'}
local batches = {}
local batch, batchBytes
local newKeys = {}

local function answered(state, first, ms)
  local n = #answer
  answer[n + 1], answer[n + 2], answer[n + 3] = state, first, ms
end

local function put(count, bytes)
  if not batch or batchBytes + #bytes > tonumber(ARGV[4]) then
    batch = {first = head, count = 0}
    batchBytes = 0
    batches[#batches + 1] = batch
  end
  batch[#batch + 1] = bytes
  batch.count = batch.count + count
  batchBytes = batchBytes + #bytes
  head = head + count
end

for i = 6, #ARGV, 4 do
  local count, placedAmong, key, bytes = tonumber(ARGV[i]), tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  local known = key ~= '' and (newKeys[key] or redis.call('HGET', KEYS[3], key))
  if known then
    local first, ms = string.match(known, '^(%d+) (%d+)$')
    answered(1, tonumber(first), tonumber(ms))
  elseif placedAmong > 0 and placedAmong < partitions then
    answered(2, partitions, 0)
  else
    if key ~= '' then newKeys[key] = string.format('%d %d', head, publishMs) end
    answered(0, head, publishMs)
    put(count, bytes)
  end
end

-- The server's history gets another id with every failover and every start: from here on the log may differ from what was
-- read of it before, and so may the blocks of its leases.
local generation = #batches > 0 and (string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)') or '')

for _, it in ipairs(batches) do
  local id = string.format('%d-%d', it.first, publishMs)
  local bytes = table.concat(it)
  redis.call('XADD', KEYS[1], id, 'n', it.count, 'b', bytesBefore, 'd', bytes)
  bytesBefore = bytesBefore + #bytes
end
if #batches > 0 then
  if generation ~= generationBefore then
    -- Before the first one there are no blocks: their ids begin at nothing, and are short.
    local from = generationBefore and math.max(now * blocksPerMs, tonumber(blocksFrom) + 1) or 0
    redis.call('HSET', KEYS[2], 'g', generation, 'k', from)
  end
  redis.call('HSET', KEYS[2], 'h', head, 'ms', publishMs, 'b', bytesBefore)
  for key, where in pairs(newKeys) do
    redis.call('HSET', KEYS[3], key, where)
    redis.call('ZADD', KEYS[4], now, key)
  end
  redis.call('PUBLISH', ARGV[3], '')
end
redis.call('SET', KEYS[5], cmsgpack.pack({tonumber(ARGV[2]), answer}), 'PX', ARGV[5])
return answer
