-- catalog-page: records in the order of their names.
-- KEYS[1] topics, subscriptions or snapshots
-- KEYS[2] logs
-- KEYS[3] orphans
-- KEYS[4] last use
-- KEYS[5] names of KEYS[1]
-- ARGV[1] prefix of the names
-- ARGV[2] name after which the page starts, or empty
-- ARGV[3] most records
-- RETURNS {1 if there are more, records as catalog-read returns them…}
local RECORDS, LOGS, ORPHANS, ACTIVE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
-- INCLUDE catalog-record
-- INCLUDE names-after
local names, more = namesAfter(KEYS[5], ARGV[1], ARGV[2], tonumber(ARGV[3]))
local page = {more}
for i, name in ipairs(names) do page[i + 1] = recordOf(name) end
return page
