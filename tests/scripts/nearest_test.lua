-- SPDX-License-Identifier: MIT
-- nearest/1 in a world with two cities of eight nodes, 5 ms wide and 60 ms apart: everybody ends with links to most
-- of the four that it looks for in its own city, which chance alone would not give, and then keeps them.
local NODES, CITY = 16, 8

local function city_of(i) return (i - 1) // CITY end

local function near_links(w, i)
    local near, far = 0, 0
    for _, other in ipairs(w:view(i, "links")) do
        if city_of(other) == city_of(i) then near = near + 1 else far = far + 1 end
    end
    return near, far
end

local function links(w)
    local list = {}
    for i = 1, NODES do
        local peers = w:view(i, "links")
        table.sort(peers)
        list[i] = table.concat(peers, " ")
    end
    return list
end

for _, o in ipairs { { name = "messages" }, { name = "packets", packets = true, loss = 0.01 } } do
    test("links settle on near peers and stay, " .. o.name, function()
        local w = world { nodes = NODES, packets = o.packets, loss = o.loss, latency = 60*ms }
        for i = 1, NODES do
            for j = i + 1, NODES do
                if city_of(i) == city_of(j) then w:link(i, j, { latency = 5*ms, loss = o.loss }) end
            end
        end
        w:run_all("nearest.lua")
        w:run_for(20*min)
        local near, far = 0, 0
        for i = 1, NODES do
            local n, f = near_links(w, i)
            near, far = near + n, far + f
            check(n >= 1, ("node %d has %d near links, %d far ones"):format(i, n, f))
        end
        check(near >= 3 * far, ("%d near, %d far"):format(near, far))
        local before, changed = links(w), 0
        w:run_for(5*min)
        for i, list in ipairs(links(w)) do
            if list ~= before[i] then changed = changed + 1 end
        end
        check(changed <= NODES // 4, changed .. " nodes changed their links")
    end)
end
