-- SPDX-License-Identifier: MIT
-- chat/1 in a world: four nodes in a row, 1 - 2 - 3 - 4. A line of the first reaches the last through the others, once;
-- so it is in a ring, where each line comes from two sides.
local function heard(w, i, text)
    local count = 0
    for _, line in ipairs(w:lines(i)) do
        if line:match("^%w+: (.*)$") == text then count = count + 1 end
    end
    return count
end

for _, o in ipairs { { name = "messages" }, { name = "packets", packets = true, loss = 0.02 } } do
    test("a line reaches those that are connected through others, " .. o.name, function()
        local w = world { nodes = 4, packets = o.packets, loss = o.loss }
        w:run(1, "talker.lua", 20, "hello from the first")
        for i = 2, 3 do w:run(i, "chat.lua", w:address(i - 1)) end
        w:run(4, "talker.lua", 25, "hello from the last", w:address(3))
        w:run_for(60*sec)
        for i = 1, 4 do
            equal(heard(w, i, "hello from the first"), i == 1 and 0 or 1, "node " .. i)
            equal(heard(w, i, "hello from the last"), i == 4 and 0 or 1, "node " .. i)
        end
    end)

    test("in a ring each line is heard once, " .. o.name, function()
        local w = world { nodes = 4, packets = o.packets, loss = o.loss }
        w:run(1, "talker.lua", 20, "round and round")
        for i = 2, 3 do w:run(i, "chat.lua", w:address(i - 1)) end
        w:run(4, "chat.lua", w:address(3), w:address(1))
        w:run_for(60*sec)
        for i = 2, 4 do equal(heard(w, i, "round and round"), 1, "node " .. i) end
        check(w:lines(2)[1]:match("^%* %w+ is here$"), w:lines(2)[1])
    end)

    test("who leaves is missed, " .. o.name, function()
        local w = world { nodes = 2, packets = o.packets }
        w:run(1, "chat.lua")
        w:run(2, "chat.lua", w:address(1))
        w:run_for(10*sec)
        w:kill(2)
        w:run_for(2*min)
        local lines = w:lines(1)
        check(lines[#lines]:match("^%* %w+ left %(%w+%)$"), lines[#lines])
    end)
end
