-- SPDX-License-Identifier: MIT
-- presence/1 in a world: everybody hears of everybody, also through others; who falls silent is gone, and is back
-- when it can be heard again.
local function count(w, i, line)
    local n = 0
    for _, l in ipairs(w:lines(i)) do
        if l == line then n = n + 1 end
    end
    return n
end

for _, o in ipairs { { name = "messages" }, { name = "packets", packets = true, loss = 0.02 } } do
    test("somebody comes, goes, and is back, " .. o.name, function()
        local w = world { nodes = 3, packets = o.packets, loss = o.loss }
        w:run(1, "presence.lua", "alice")
        w:run(2, "presence.lua", "bob", w:address(1))
        w:run(3, "presence.lua", "carol", w:address(1))
        w:run_for(20*sec)
        for i, others in ipairs { { "bob", "carol" }, { "alice", "carol" }, { "alice", "bob" } } do
            for _, name in ipairs(others) do
                equal(count(w, i, name .. " is here"), 1, name .. " at node " .. i)
            end
        end
        for i = 1, 2 do w:link(3, i, { dark = 90*sec }) end
        w:run_for(89*sec)
        for i = 1, 2 do
            equal(count(w, i, "carol is gone"), 1, "node " .. i)
            equal(count(w, i, "carol is here"), 1, "node " .. i)
        end
        equal(count(w, 1, "bob is gone"), 0)
        equal(count(w, 3, "alice is gone"), 1)
        w:run_for(60*sec)
        for i = 1, 2 do equal(count(w, i, "carol is here"), 2, "node " .. i) end
        equal(count(w, 3, "alice is here"), 2)
    end)

    test("who dies is gone, " .. o.name, function()
        local w = world { nodes = 3, packets = o.packets, loss = o.loss }
        w:run(1, "presence.lua", "alice")
        w:run(2, "presence.lua", "bob", w:address(1))
        w:run_for(10*sec)
        w:kill(2)
        w:run_for(60*sec)
        equal(count(w, 1, "bob is gone"), 1)
        w:run(3, "presence.lua", "bob", w:address(1))
        w:run_for(10*sec)
        equal(count(w, 1, "bob is here"), 2)
    end)
end
