-- SPDX-License-Identifier: MIT
-- values/1 in a world: a follower behind 20 kbit/s and one that has room end with the same newest values; only the slow
-- one had values merged. What anybody puts is told to all.
local function last(w, i, key)
    local value
    for _, line in ipairs(w:lines(i)) do
        value = line:match("^" .. key .. "\t([^\t]-) *\t") or value
    end
    return value
end

-- How many values of "count" it was told, and how many were merged.
local function seen(w, i)
    local told, merged = 0, 0
    for _, line in ipairs(w:lines(i)) do
        if line:match("^count\t") then told = told + 1 end
        merged = merged + tonumber(line:match("\t(%d+) merged$") or 0)
    end
    return told, merged
end

for _, o in ipairs { { name = "messages" }, { name = "packets", packets = true, loss = 0.02 } } do
    test("a slow follower ends with the newest value, " .. o.name, function()
        local w = world { nodes = 3, packets = o.packets, loss = o.loss }
        w:link(1, 3, { bandwidth = 20000 })
        w:run(1, "setter.lua", 3000)
        for i = 2, 3 do w:run(i, "values.lua", w:address(1)) end
        w:run_for(3*min)
        for i = 2, 3 do
            equal(last(w, i, "count"), "3000", "node " .. i)
            equal(last(w, i, "still"), "here", "node " .. i)
        end
        for i = 2, 3 do
            local told, merged = seen(w, i)
            equal(told + merged, 3000, "node " .. i)
            check((merged > 1000) == (i == 3), ("node %d: %d merged"):format(i, merged))
        end
    end)

    test("a value that is put is told to all, " .. o.name, function()
        local w = world { nodes = 4, packets = o.packets, loss = o.loss }
        w:run(1, "values.lua", "temperature")
        w:run(2, "values.lua", w:address(1))
        w:run(3, "values.lua", w:address(1))
        w:run_for(10*sec)
        w:run(4, "setter.lua", 0, w:address(1))
        w:run_for(10*sec)
        equal(w:lines(4)[1], "2")
        equal(w:lines(4)[2], "a key has 1 to 64 bytes\trefused")
        for i = 2, 3 do
            equal(last(w, i, "still"), "put", "node " .. i)
            check(tonumber(last(w, i, "temperature")), "it wanders")
        end
    end)
end
