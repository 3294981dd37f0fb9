-- SPDX-License-Identifier: MIT
-- pipe/1 in a world: what is sent through a stream becomes a file with the same bytes; a name that is there is refused.
local content = ("0123456789abcdef"):rep(64*KB) .. "the end"

for _, o in ipairs { { name = "messages" }, { name = "packets", packets = true, loss = 0.02 } } do
    test("an upload becomes a file, " .. o.name, function()
        local w = world { nodes = 2, packets = o.packets, loss = o.loss }
        w:file(2, "given", content)
        w:run(1, "pipe.lua")
        w:run(2, "uploader.lua", w:address(1), "taken", "given")
        w:run_for(60*sec)
        equal(w:lines(2)[1], "ok: " .. #content)
        equal(w:lines(1)[1], "taken\t" .. #content)
        w:run(1, "digest.lua", "taken")
        w:run(2, "digest.lua", "given")
        w:run_for(1*sec)
        check(w:lines(1)[2]:match("^" .. #content .. "\t%x+$"), w:lines(1)[2])
        equal(w:lines(1)[2], w:lines(2)[2])
    end)

    test("a name that is there is refused, " .. o.name, function()
        local w = world { nodes = 2, packets = o.packets, loss = o.loss }
        w:file(1, "taken", "before")
        w:file(2, "given", content)
        w:run(1, "pipe.lua")
        w:run(2, "uploader.lua", w:address(1), "taken", "given")
        w:run_for(60*sec)
        check((w:lines(2)[1] or "nothing"):match("^no: "), w:lines(2)[1])
    end)

    test("nothing is a file too, " .. o.name, function()
        local w = world { nodes = 2, packets = o.packets, loss = o.loss }
        w:run(1, "pipe.lua")
        w:run(2, "uploader.lua", w:address(1), "empty")
        w:run_for(10*sec)
        equal(w:lines(2)[1], "ok: 0")
    end)
end
