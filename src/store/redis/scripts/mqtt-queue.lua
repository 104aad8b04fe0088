-- Included by the scripts of a session's queue; these are their keys.
-- KEYS[1] HASH: last (number of the last message), count, bytes; node (that the client is connected to), gen (which of its
--         connections that was). Without it there is no queue. ended: there will never be one
-- KEYS[2] STREAM, id <number>-0: the messages
-- KEYS[3] SET of numbers: the subscriber has received them (QoS 2)
local queue, messages, received = unpack(KEYS)

local function idOf(number)
  return string.format('%.0f-0', number)
end
