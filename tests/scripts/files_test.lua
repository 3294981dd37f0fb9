-- SPDX-License-Identifier: MIT
-- files/1 in a world: two nodes serve a file, one dies while half of it is here, and what arrives is the same file. A
-- file that nobody has, and one that differs at the second server, are told apart from the whole one.
local function noise(size, seed)
    local parts, state = {}, seed
    for i = 1, size // 1024 do
        state = (state * 6364136223846793005 + 1442695040888963407)
        parts[i] = ("%016x"):format(state):rep(64)
    end
    return table.concat(parts)
end

local BYTES = 12*MB + 5*KB
local content = noise(BYTES, 1)

-- How much is here, in MiB, as the last line of progress says.
local function here(w, i)
    local lines = w:lines(i)
    return tonumber((lines[#lines] or ""):match("^([%d.]+) of ")) or 0
end

local function serving(o)
    local w = world { nodes = 3, latency = 10*ms, packets = o.packets, loss = o.loss }
    for i = 1, 2 do
        w:file(i, "big", content)
        w:run(i, "files.lua")
        w:link(i, 3, { bandwidth = 5000000, loss = o.loss })
    end
    return w
end

for _, o in ipairs { { name = "messages" }, { name = "packets", packets = true, loss = 0.005 } } do
    test("a file comes from two peers, one dies halfway, " .. o.name, function()
        local w = serving(o)
        w:run(3, "files.lua", "big", w:address(1), w:address(2))
        for _ = 1, 600 do
            if here(w, 3) >= 5 then break end
            w:run_for(100*ms)
        end
        check(here(w, 3) >= 5 and here(w, 3) < 10, "it is half here: " .. here(w, 3))
        check(w:lines(3)[#w:lines(3)]:match("2 peers$"), w:lines(3)[#w:lines(3)])
        w:kill(2)
        w:run_for(90*sec)
        local lines = w:lines(3)
        local size, hash = lines[#lines]:match("^verified\tbig\t(%d+)\t(%x+)$")
        check(hash, lines[#lines])
        equal(tonumber(size), BYTES)
        w:run(1, "digest.lua", "big")
        w:run(3, "digest.lua", "big")
        w:run_for(1*sec)
        lines = w:lines(3)
        equal(lines[#lines], BYTES .. "\t" .. hash)
        equal(w:lines(1)[1], lines[#lines])
    end)

    test("what nobody has is told, " .. o.name, function()
        local w = serving(o)
        w:run(3, "files.lua", "small", w:address(1), w:address(2))
        w:run_for(10*sec)
        check(w:lines(3)[1]:match("^cannot fetch small: "), w:lines(3)[1])
    end)

    test("a peer whose file differs is left out, " .. o.name, function()
        local w = serving(o)
        w:file(2, "big", noise(BYTES, 2))
        w:run(3, "files.lua", "big", w:address(1), w:address(2))
        w:run_for(60*sec)
        w:run(1, "digest.lua", "big")
        w:run(3, "digest.lua", "big")
        w:run_for(1*sec)
        local lines = w:lines(3)
        equal(lines[#lines], w:lines(1)[1])
    end)
end
