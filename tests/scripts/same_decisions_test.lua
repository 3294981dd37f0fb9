-- SPDX-License-Identifier: MIT
-- The same decisions in memory and in packets, whatever the latency, the loss and the seed; same_decisions.sh compares
-- them with those over sockets.
local function decisions(o)
    local w = world { nodes = 3, packets = o.packets, latency = o.latency, loss = o.loss }
    w:run(3, "decide.lua", "c")
    w:run(2, "decide.lua", "b", w:address(3))
    w:run_for(20*sec)
    w:run(1, "decide.lua", "a", w:address(2), w:address(3))
    w:run_for(2*min)
    local list = {}
    for i, name in ipairs { "a", "b", "c" } do
        for _, line in ipairs(w:lines(i)) do list[#list + 1] = name .. ": " .. line end
    end
    return list
end

test("packets and memory decide the same", function()
    local memory = decisions { latency = 10*ms }
    equal(memory[1], "a: know\tb\tout:\tnobody")
    check(#memory > 60, #memory .. " lines")
    for _, o in ipairs { { packets = true, latency = 3*ms }, { packets = true, latency = 40*ms, loss = 0.03 } } do
        local packets = decisions(o)
        for i, line in ipairs(memory) do equal(packets[i], line, "line " .. i) end
        equal(#packets, #memory)
    end
    print(table.concat(memory, "\n"))
end)
