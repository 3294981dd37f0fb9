-- SPDX-License-Identifier: MIT
-- tit-for-tat/1 in a world: node 1 has all pieces; the others have none, and give, but the last one only takes. It
-- needs a fifth more time than half of the others, or longer.
local NODES = 11

for _, o in ipairs { { name = "messages" }, { name = "packets", packets = true, loss = 0.02 } } do
    test("who only takes is among the last, " .. o.name, function()
        local w = world { nodes = NODES, seed = 1, packets = o.packets, loss = o.loss }
        for i = 1, NODES do
            local arguments = { i == NODES and "takes" or nil }
            for j = 1, i - 1 do table.insert(arguments, w:address(j)) end
            w:run(i, "tit_for_tat.lua", table.unpack(arguments))
        end
        local times, done, count = {}, {}, 0
        for _ = 1, 600 do
            w:run_for(1*sec)
            for i = 2, NODES do
                if not done[i] and w:lines(i)[1] == "all pieces" then
                    done[i], count = w:now(), count + 1
                    if i < NODES then table.insert(times, w:now()) end
                end
            end
            if count == NODES - 1 then break end
        end
        equal(count, NODES - 1, "nodes that have all pieces")
        local median = times[#times // 2]
        check(done[NODES] * 5 >= median * 6, ("%d s, the others %d s"):format(done[NODES] // sec, median // sec))
    end)
end
