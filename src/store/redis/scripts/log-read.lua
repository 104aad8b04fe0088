-- log-read: batches from an offset on, until they have so many bytes. One at a time: how large a batch is is only known
-- once it is read, and XRANGE bounds their number, not their size.
-- KEYS[1] log
-- ARGV[1] offset
-- ARGV[2] bytes; the last batch may go past them
-- ARGV[3] most batches
-- RETURNS the entries; fewer than ARGV[3], and fewer bytes than ARGV[2]: there are no more
local entries = {}
local at, bytes = ARGV[1], 0
while #entries < tonumber(ARGV[3]) and bytes < tonumber(ARGV[2]) do
  local entry = redis.call('XRANGE', KEYS[1], at, '+', 'COUNT', 1)[1]
  if not entry then break end
  entries[#entries + 1] = entry
  bytes = bytes + #entry[2][6]
  at = string.format('%d', tonumber(string.match(entry[1], '^%d+')) + tonumber(entry[2][2]))
end
return entries
