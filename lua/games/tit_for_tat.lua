-- SPDX-License-Identifier: MIT
-- tit-for-tat/1: who gives is given to: every ten seconds the four that gave most, and now and then
-- one more at random, so that a newcomer gets its chance.
--
-- What you will see: "all pieces" at nodes that give; one that "takes", and never gives, waits for
-- the random turn and is among the last. Who is given no address begins with all pieces.
local G = game "tit-for-tat/1" {
    serve = 32, half_life = 20*sec,
    links = view { cap = 16, linked = true },
    fed = view { cap = 4 }, lucky = view { cap = 1 },
    want = request { bytes = 64, answer = 1*KB, within = 20*sec },
    have = message { bytes = 4*KB, full = "drop-old" },
    offers = map { cap = 16 }, asked = map { cap = 16 },
    fields = { pieces = {}, count = 0, gives = true },
}
local TOTAL = 64

function G:want(from, i)
    self.asked:set(from, now())
    if not (self.fed:has(from) or self.lucky:has(from)) then return refuse("choked", 5*sec) end
    return self.pieces[i] or refuse "absent"
end

function G:up(p) log.info("linked with " .. p:short()) self:tell_all() end
function G:have(from, set) self.offers:set(from, type(set) == "table" and set or nil) end

function G:tell_all()
    local set = {}
    for i in pairs(self.pieces) do set[i] = true end
    for p in self.links:each() do tell(p, G.have, set) end
end

-- The rarest of the pieces that we lack and this peer has.
function G:rarest_at(p)
    local has, rarest, least = self.offers:get(p) or {}, nil, math.huge
    for i = 1, TOTAL do
        if has[i] and not self.pieces[i] then
            local copies = math.random()
            for _, set in self.offers:each() do copies = copies + (set[i] and 1 or 0) end
            if copies < least then rarest, least = i, copies end
        end
    end
    return rarest
end

G:every(1*sec, function(self)
    for _, p in ipairs(self.links:sample(4)) do
        local i = self:rarest_at(p)
        local piece = i and ask(p, G.want, i)
        if type(piece) == "string" and not self.pieces[i] then
            self.pieces[i], self.count = piece, self.count + 1
            p:credit(1) self:tell_all()
            if self.count == TOTAL then print "all pieces" end
        end
    end
end)

G:every(10*sec, function(self)
    local ranked = {}
    for p, at in self.asked:each() do
        if self.gives and now() - at < 20*sec then ranked[#ranked + 1] = p end
    end
    table.sort(ranked, function(a, b) return a:score() > b:score() end)
    for p in self.fed:each() do self.fed:remove(p) end
    for i = 1, math.min(4, #ranked) do self.fed:add(ranked[i]) end
    local one = math.random(3) == 1 and ranked[math.random(5, math.max(5, #ranked))]
    if one then self.lucky:add(one, "oldest") end
end)

function G:start(...)
    self.count = tonumber(... or TOTAL) or 0
    for i = 1, self.count do self.pieces[i] = string.rep(string.char(i), 256) end
    for _, word in ipairs { ... } do
        if word == "takes" then self.gives = false end
        local p = word:find("[:/]") and connect(word)
        if p then self.links:add(p) end
    end
end

return G
