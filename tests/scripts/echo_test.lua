-- SPDX-License-Identifier: MIT
-- echo/1 in a world: what was asked comes back ten times, and nobody is left waiting for a dead peer.
for _, o in ipairs { { name = "messages" }, { name = "packets", packets = true, loss = 0.05 } } do
    test("what is asked comes back, " .. o.name, function()
        local w = world { nodes = 2, latency = 10*ms, loss = o.loss, packets = o.packets }
        w:run(1, "echo.lua")
        w:run(2, "echo.lua", w:address(1), "good day")
        w:run_for(30*sec)
        local lines = w:lines(2)
        equal(#lines, 10)
        for i, line in ipairs(lines) do
            equal(line:match("^(.-)\t%d+ ms$"), "good day " .. i)
        end
        equal(#w:lines(1), 0, "who answers says nothing")
    end)

    test("a dead peer is told, " .. o.name, function()
        local w = world { nodes = 2, packets = o.packets }
        w:run(1, "echo.lua")
        w:kill(1)
        w:run(2, "echo.lua", w:address(1))
        w:run_for(2*min)
        equal(#w:lines(2), 1)
        check(w:lines(2)[1]:match("^not connected: "), w:lines(2)[1])
    end)
end
