-- table-page: values in the order of their keys.
-- KEYS[1] values
-- KEYS[2] keys
-- ARGV[1] prefix of the keys
-- ARGV[2] key after which the page starts, or empty
-- ARGV[3] most values
-- RETURNS {1 if there are more, key, value, key, value…}
-- INCLUDE names-after
local names, more = namesAfter(KEYS[2], ARGV[1], ARGV[2], tonumber(ARGV[3]))
local page = {more}
for _, name in ipairs(names) do
  page[#page + 1] = name
  page[#page + 1] = redis.call('HGET', KEYS[1], name)
end
return page
