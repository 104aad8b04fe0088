-- Included by scripts that need the time. A script writes what it decided, not what it was asked, to replicas (Redis 7),
-- so asking the server for the time is safe.
local function epochMs(given)
  if given ~= '' then return tonumber(given) end
  local now = redis.call('TIME')
  return tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
end
