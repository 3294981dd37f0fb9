-- SPDX-License-Identifier: MIT
-- Three nodes that decide things one after another: each step waits for the one before, so what is printed depends
-- on nothing but what was said. Started in this order, each when the one before is ready: `decide.lua c`,
-- `decide.lua b C`, `decide.lua a B C`, where B and C are addresses.
local G = game "decide/1" {
    serve = 8, half_life = 24*hour,
    who = request { bytes = 64, answer = 64, within = 20*sec },
    deal = request { bytes = 512, answer = 512, within = 20*sec },
    token = message { bytes = 256, full = "drop-old" },
    last = request { bytes = 64, answer = 64, within = 20*sec },
    one = view { cap = 1 }, both = view { cap = 2 },
    seen = map { cap = 1 },
    fields = { name = "", names = {}, peers = {}, stock = 40 },
}

function G:know(peer, name)
    self.names[peer:id()], self.peers[name] = name, peer
    local out = self.one:add(peer, "oldest")
    print("know", name, "out:", out ~= true and self.names[out:id()] or "nobody")
    self.both:add(peer)
end

function G:who(from, name)
    self:know(from, name)
    return self.name
end

-- A node gives what it has, asks its neighbour for the rest, and refuses what is too much.
function G:deal(from, m)
    local name = self.names[from:id()]
    local before = self.seen:get(from)
    self.seen:set(from, m.step)
    print("deal", m.step, name, m.want, "stock", self.stock, "before", before)
    if m.want > 30 then
        from:blame("greedy")
        return refuse("too much at step " .. m.step)
    end
    from:credit(m.want)
    if self.stock >= m.want then
        self.stock = self.stock - m.want
        return { got = m.want, list = { self.name } }
    end
    local next = self.peers.c and self.name == "b" and self.peers.c
    if not next then return refuse "nothing left" end
    local answer, why, kind = ask(next, G.deal, { step = m.step, want = m.want - self.stock })
    print("lent", answer and answer.got, why, kind)
    if not answer then return { got = 0, list = {}, why = why } end
    local got = answer.got + self.stock
    self.stock = 0
    table.insert(answer.list, 1, self.name)
    return { got = got, list = answer.list }
end

local NEXT = { a = "b", b = "c", c = "a" }

-- The token goes round, each fifth time back, until it is old when it comes to a.
function G:token(from, m)
    print("token", m.n, m.text, "from", self.names[from:id()])
    if m.n >= 20 and self.name == "a" then return self:finish() end
    local to = m.n < 20 and m.n % 5 == 0 and from or self.peers[NEXT[self.name]]
    tell(to, G.token, { n = m.n + 1, text = m.text .. self.name })
end

function G:last(from)
    print("last", self.stock, "best", self.names[self.both:best("score"):id()])
    local list = {}
    for p in self.both:each() do list[#list + 1] = self.names[p:id()] .. "=" .. math.floor(p:score() + 0.5) end
    print(table.concat(list, " "))
    return self.name
end

function G:finish()
    for _, name in ipairs { "b", "c" } do print("finish", ask(self.peers[name], G.last)) end
    print "over"
end

function G:meet(address)
    local peer, why = connect(address)
    if not peer then return print(why) end
    self:know(peer, ask(peer, G.who, self.name))
end

function G:start(name, ...)
    self.name = name
    for _, address in ipairs { ... } do self:meet(address) end
    print "ready"
    if name ~= "a" then return end
    for step = 1, 12 do
        local to = step % 3 == 0 and "c" or "b"
        local answer, why, kind = ask(self.peers[to], G.deal, { step = step, want = step * 7 % 36 })
        print(step, to, answer and answer.got, answer and table.concat(answer.list, ","), why, kind)
    end
    tell(self.peers.b, G.token, { n = 1, text = "" })
end

return G
