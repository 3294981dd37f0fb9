-- SPDX-License-Identifier: MIT
-- chat/1: a room that has no server.
--
-- What you will see: each line that one side types appears at everybody that is connected.
--
--   weir run chat.lua --listen :4001 --allow input            prints its invitation
--   weir run chat.lua --allow input -- weir:PEERID@host:4001  joins
--
-- Everybody passes on what is new to it, so a line reaches those that are connected through others.
-- A line that was seen is not passed on: the last 256 are remembered by their hash.
local P = protocol "chat/1" {
    serve = 64,
    line = message { bytes = 1*KB, full = "drop-old" },
    hello = request { bytes = 64, answer = 64, within = 5*sec },
    room = view { cap = 32, linked = true },
    fields = { name = "", seen = {}, order = {}, next = 0 },
}

function P:is_new(m)
    local key = hash(encode(m))
    if self.seen[key] then return false end
    local at = self.next % 256 + 1
    if self.order[at] then self.seen[self.order[at]] = nil end
    self.order[at], self.seen[key], self.next = key, true, self.next + 1
    return true
end

function P:pass_on(from, m)
    for peer in self.room:but(from) do tell(peer, P.line, m) end
end

function P:line(from, m)
    if type(m) ~= "table" or type(m.text) ~= "string" or not self:is_new(m) then return end
    print(tostring(m.name) .. ": " .. m.text)
    self:pass_on(from, m)
end

function P:say(text)
    local m = { name = self.name, text = text, mark = now() }
    self:is_new(m)
    self:pass_on(me(), m)
end

function P:hello(from)
    return self.name
end

function P:up(peer)
    print("* " .. (ask(peer, P.hello) or peer:short()) .. " is here")
end

function P:down(peer, why)
    print("* " .. peer:short() .. " left (" .. why .. ")")
end

function P:start(...)
    self.name = me():short()
    for _, address in ipairs { ... } do
        local peer, why = connect(address)
        if peer then self.room:add(peer) else print("* " .. why) end
    end
    local typed = input()
    if not typed then return end
    for text in typed:lines(900) do self:say(text) end
end

return P
