-- SPDX-License-Identifier: MIT
-- nearest/1: links to the peers with the lowest latency, with hysteresis.
--
-- What you will see: links settle on near peers and stay there. A link is given up only for a peer that is a fifth nearer
-- by the median of five measurements: choosing by one sample of ping makes a node change its mind every minute. Everybody
-- looks for four and takes in eight, so that nobody is left out.
local G = game "nearest/1" {
    serve = 16,
    links = view { cap = 8, linked = true },
    known = view { cap = 32, per_source = 8 },
    ping = request { bytes = 16, answer = 512, within = 2*sec }, fields = { seeds = {} },
}

local WANTED, SAMPLES, BETTER = 4, 5, 0.8

function G:ping(from)
    self.known:offer(from)
    return self.known:sample(4)
end

-- The median round trip of some pings, and what the peer knows.
function G:measure(p)
    local took = {}
    for _ = 1, SAMPLES do
        local begun = now()
        local peers = ask(p, G.ping)
        if type(peers) ~= "table" then return nil end
        took[#took + 1] = now() - begun
        for _, q in ipairs(peers) do self.known:offer(q, p) end
    end
    table.sort(took)
    return took[(SAMPLES + 1) // 2]
end

-- The farthest of our links.
function G:worst()
    local worst, most = nil, -1
    for p in self.links:each() do
        local rtt = p:rtt() or 0
        if rtt > most then worst, most = p, rtt end
    end
    return worst, most
end

G:every(15*sec, function(self)
    local p = self.known:pick()
    if not p then return self:start(table.unpack(self.seeds)) end
    if self.links:has(p) then return end
    local rtt = self:measure(p)
    if not rtt then return self.known:remove(p) end
    if #self.links < WANTED then return self.links:add(p) end
    local worst, most = self:worst()
    if rtt < most * BETTER then
        self.links:remove(worst)
        self.links:add(p)
    end
end)

function G:up(p)
    log.info("linked with " .. p:short())
    self.known:offer(p)
end

-- A peer that wants us is let in only when it is nearer than the farthest.
function G:crowded(view, p)
    local worst, most = self:worst()
    if (p:rtt() or math.huge) < most * BETTER then view:remove(worst) view:add(p) end
end

function G:start(...)
    self.seeds = { ... }
    for _, address in ipairs(self.seeds) do
        local seed, why = connect(address)
        if seed then self.known:offer(seed) self:measure(seed) else log.warn(why) end
    end
end

return G
