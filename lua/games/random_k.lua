-- SPDX-License-Identifier: MIT
-- random-k/1: everybody keeps links to a few random peers, and a larger set of addresses to choose from.
--
-- What you will see: after a minute every node has its links, and when one leaves another takes its place. The simplest
-- game that keeps a network connected; it does not balance who is chosen how often (cyclon.lua does).
local G = game "random-k/1" {
    serve = 16,
    links = view { cap = 8, linked = true },
    known = view { cap = 48, per_source = 12 },
    join = request { bytes = 16, answer = 1*KB, within = 5*sec },
    swap = message { bytes = 1*KB, full = "drop-new" },
    fields = { seeds = {} },
}

-- Who joins is told some peers, and becomes known itself.
function G:join(from)
    self.known:offer(from)
    return self.known:sample(8, self.links:sample(3))
end

function G:learn(peers, via)
    if type(peers) ~= "table" then return end
    for _, p in ipairs(peers) do self.known:offer(p, via) end
end

function G:fill()
    self.links:refill(self.known, function(p) return self.links:add(p) end)
end

function G:enter(seed)
    local peers = ask(seed, G.join)
    self.known:offer(seed)
    self:learn(peers, seed)
    self:fill()
end

function G:start(...)
    self.seeds = { ... }
    for _, address in ipairs(self.seeds) do
        local seed, why = connect(address)
        if seed then self:enter(seed) else log.warn(why) end
    end
end

-- The room that a newcomer needs is made by the oldest link.
function G:crowded(view, p)
    view:add(p, "oldest")
end

function G:up(p)
    log.info("linked with " .. p:short())
    self.known:offer(p)
end

function G:down(p, why)
    if why == "dead" then self.known:remove(p) end
    self:fill()
end

G:every(10*sec, function(self)
    local p = self.links:pick()
    if not p then self:start(table.unpack(self.seeds)) end
    if p then tell(p, G.swap, self.known:sample(8, self.links:sample(2))) end
    self:fill()
end)

function G:swap(from, peers)
    self:learn(peers, from)
end

return G
