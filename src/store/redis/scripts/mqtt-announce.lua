-- Included by scripts that tell all nodes something. Announcements are numbered, so that a node that missed one knows it.
local function packed(...)
  local parts = {}
  for i, field in ipairs({...}) do parts[i] = struct.pack('>I4', #field) .. field end
  return table.concat(parts)
end

local function announce(counter, channel, source, ...)
  local number = redis.call('INCR', counter)
  redis.call('PUBLISH', channel, packed(source, string.format('%.0f', number), ...))
  return number
end
