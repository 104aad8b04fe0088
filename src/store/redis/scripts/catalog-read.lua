-- catalog-read: records by name.
-- KEYS[1] topics, subscriptions or snapshots
-- KEYS[2] logs
-- KEYS[3] orphans
-- KEYS[4] last use
-- ARGV[1…] names
-- RETURNS per name {record, partitions, 1 if its topic was deleted, last use (ms) or nil}; nil: there is none
local RECORDS, LOGS, ORPHANS, ACTIVE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- INCLUDE catalog-record
local found = {}
for i, name in ipairs(ARGV) do found[i] = recordOf(name) end
return found
