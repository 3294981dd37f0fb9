-- SPDX-License-Identifier: MIT
-- A person at chat/1's keyboard, for worlds, which have no input: says a line after a time.
--
--   talker.lua SECONDS TEXT ADDRESS...
local chat = use "chat"
local P = protocol "talker/1" {}

function P:start(seconds, text, ...)
    after(tonumber(seconds) * sec, function() chat:say(text) end)
    chat:start(...)
end

return P
