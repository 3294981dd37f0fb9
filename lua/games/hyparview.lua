-- SPDX-License-Identifier: MIT
-- hyparview/1: a small symmetric active view of links, a larger passive view of addresses, repair as soon as a link is
-- lost. After Leitao, Pereira, Rodrigues: HyParView, DSN 2007.
--
-- What you will see: active views of 5 that are always symmetric; after most nodes die at once the rest is one network
-- again within seconds.
local G = game "hyparview/1" {
    serve = 32,
    active = view { cap = 5, linked = true },
    passive = view { cap = 30, per_source = 8 },
    link = request { bytes = 32, answer = 16, within = 5*sec },
    join = message { bytes = 16, full = "drop-new" }, walk = message { bytes = 512, full = "drop-new" },
    mix = message { bytes = 2*KB, full = "drop-new" }, fields = { seeds = {} },
}

local ARWL, PRWL = 6, 3
-- In; when full, a random member steps down and becomes passive.
function G:take(p)
    local out = self.active:add(p, "random")
    if out and out ~= true then self.passive:offer(out) end
    self.passive:remove(p)
    return out and true or false
end

-- Insists only when alone.
function G:invite(p)
    return ask(p, G.link, { high = #self.active == 0 }) == true and self:take(p)
end

function G:link(from, m)
    if not (type(m) == "table" and m.high or self.active:room()) then return false end
    return self:take(from)
end

function G:start(...)
    self.seeds = { ... }
    for _, address in ipairs(self.seeds) do
        local seed, why = connect(address)
        if not seed then log.warn(why) elseif self:invite(seed) then tell(seed, G.join) end
    end
end

function G:join(from)
    for p in self.active:but(from) do tell(p, G.walk, { who = from, ttl = ARWL }) end
end

function G:walk(from, m)
    if type(m) ~= "table" or not m.who or m.who == me() then return end
    local ttl = math.tointeger(m.ttl) or 0
    local next = ttl > 0 and self.active:pick { but = { from, m.who } }
    if not next then return ask(m.who, G.link, { high = true }) == true and self:take(m.who) end
    if ttl == PRWL then self.passive:offer(m.who, from) end
    tell(next, G.walk, { who = m.who, ttl = math.min(ttl, ARWL) - 1 })
end

function G:crowded(view, p) self:take(p) end
function G:up(p) log.info("linked with " .. p:short()) end

function G:down(p, why)
    if why == "dropped" then self.passive:offer(p) end
    self.active:refill(self.passive, function(c) return self:invite(c) end)
end

G:every(10*sec, function(self)
    if #self.active == 0 then self:start(table.unpack(self.seeds)) end
    local p, ids = self.active:pick(), self.passive:sample(4, self.active:sample(3))
    if p then tell(p, G.mix, { who = me(), ids = ids, ttl = ARWL }) end
    self.active:refill(self.passive, function(c) return self:invite(c) end)
end)

function G:mix(from, m)
    if type(m) ~= "table" or type(m.ids) ~= "table" then return end
    local ttl = math.tointeger(m.ttl) or 0
    local next = ttl > 1 and self.active:pick { but = { from, m.who } }
    if next then return tell(next, G.mix, { who = m.who, ids = m.ids, ttl = math.min(ttl, ARWL) - 1 }) end
    if m.who then tell(m.who, G.mix, { ids = self.passive:sample(8), ttl = 0 }) end
    for _, p in ipairs(m.ids) do self.passive:offer(p, m.who or from) end
end

return G
