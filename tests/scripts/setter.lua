-- SPDX-License-Identifier: MIT
-- Publishes on values/1: "still" once, and after twenty seconds "count" from 1 to COUNT within two, which a slow
-- follower cannot see all of. With an address it asks that publisher to set "still" instead.
local values = use "values"
local P = protocol "setter/1" { fields = { at = 0, count = 0 } }

P:every(20*ms, function(self)
    for i = self.at + 1, math.min(self.at + self.count // 100, self.count) do
        values.value:set("count", i .. (" "):rep(200))
        self.at = i
    end
end)

function P:start(count, address)
    if not address then
        values.value:set("still", "here")
        after(20*sec, function() self.count = math.tointeger(tonumber(count)) end)
        return
    end
    local peer = connect(address)
    print(ask(peer, values.put, { key = "still", value = "put" }))
    print(select(2, ask(peer, values.put, { key = "", value = 1 })))
end

return P
