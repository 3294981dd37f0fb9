-- SPDX-License-Identifier: MIT
-- cyclon/1: every period swap some of the view with its oldest peer; whoever is silent is forgotten. After Voulgaris,
-- Gavidia, van Steen: CYCLON, 2005.
-- What you will see: everybody is known to about as many others as its view is large (20, give or take 3), so no node is
-- popular by accident; dead peers leave all views within some forty periods.
local G = game "cyclon/1" {
    serve = 16,
    known = view { cap = 20, per_source = 8 },
    born = map { cap = 40 }, fields = { seeds = {} },
    swap = request { bytes = 3*KB, answer = 3*KB, within = 5*sec },
}

local SWAPPED, OLDEST = 8, 1*hour

-- A peer and its age, if that is what somebody sent.
local function entry(e)
    if type(e) ~= "table" or type(e[1]) ~= "userdata" then return nil end
    return e[1], math.max(0, math.min(math.tointeger(e[2]) or 0, OLDEST))
end

-- An entry goes on ageing when it is passed on, as it was made by its own node once: that keeps all equally known.
function G:with_ages(peers)
    local list = {}
    for i, p in ipairs(peers) do list[i] = { p, now() - (self.born:get(p) or now()) } end
    return list
end

function G:forget(p) self.known:remove(p) self.born:set(p, nil) end

-- What came takes the empty places first, then those of what was sent away.
function G:merge(got, sent, via)
    if type(got) ~= "table" then return end
    local gone = 1
    for i = 1, math.min(#got, SWAPPED) do
        local p, age = entry(got[i])
        if p and p ~= me() and not self.known:has(p) then
            while not self.known:room() and sent[gone] do
                self:forget(sent[gone]) gone = gone + 1
            end
            if self.known:offer(p, via) then self.born:set(p, now() - age) end
        end
    end
    log.debug(#self.known .. " peers known")
end

function G:swap(from, theirs)
    local mine = self.known:sample(SWAPPED)
    local answer = self:with_ages(mine)
    self:merge(theirs, mine, from)
    return answer
end

function G:oldest()
    local oldest, first = self.known:oldest(), math.huge
    for p, born in self.born:each() do
        if born < first and self.known:has(p) then oldest, first = p, born end
    end
    return oldest
end

G:every(10*sec, function(self)
    local q = self:oldest()
    if not q then return self:start(table.unpack(self.seeds)) end
    self:forget(q)
    local sent = self.known:sample(SWAPPED - 1)
    local mine = table.move(self:with_ages(sent), 1, #sent, 2, { { me(), 0 } })
    self:merge(ask(q, G.swap, mine), sent, q)
end)

function G:start(...)
    self.seeds = { ... }
    for _, address in ipairs(self.seeds) do
        local seed, why = connect(address)
        if not seed then return log.warn(why) end
        self:merge({ { seed, 0 } }, {}, seed)
        self:merge(ask(seed, G.swap, { { me(), 0 } }), {}, seed)
    end
end

return G
