-- SPDX-License-Identifier: MIT
-- presence/1: who is here. Each node tells its circle whom it heard of, and how long ago.
--
-- What you will see: a line when somebody comes, when somebody was not heard of for half a minute,
-- and when it is back.
--
--   weir run presence.lua --listen :4001 -- alice
--   weir run presence.lua -- bob weir:PEERID@host:4001
local P = protocol "presence/1" {
    serve = 32,
    beat = message { bytes = 4*KB, full = "drop-old" },
    circle = view { cap = 16, linked = true },
    fields = { name = "", people = {}, others = {} },
}

local GONE = 30*sec

-- One's own beat, and what is known of others: a name, and how many microseconds ago it was heard.
function P:tidings()
    local known = {}
    for name, at in pairs(self.people) do
        if now() - at < GONE then known[name] = now() - at end
    end
    known[self.name] = 0
    return known
end

function P:heard_of(name, ago)
    local at, before = now() - ago, self.people[name]
    if name == self.name or (before and before >= at) then return end
    if not before or now() - before >= GONE then print(name .. " is here") end
    self.people[name] = at
end

function P:beat(from, m)
    if type(m) ~= "table" then return end
    for name, ago in pairs(m) do
        if type(name) == "string" and #name <= 32 and math.type(ago) == "integer" and ago >= 0
            and ago < GONE then
            self:heard_of(name, ago)
        end
    end
end

P:every(5*sec, function(self)
    for name, at in pairs(self.people) do
        if now() - at >= GONE then
            print(name .. " is gone")
            self.people[name] = nil
        end
    end
    if #self.circle == 0 then self:enter() end
    local m = self:tidings()
    for peer in self.circle:each() do tell(peer, P.beat, m) end
end)

function P:up(peer)
    tell(peer, P.beat, self:tidings())
end

-- Into the circle with those that were named, again when nobody of it is left.
function P:enter()
    for _, address in ipairs(self.others) do
        local peer, why = connect(address)
        if peer then self.circle:add(peer) else log.warn(why) end
    end
end

function P:start(name, ...)
    self.name, self.others = name or me():short(), { ... }
    self:enter()
end

return P
