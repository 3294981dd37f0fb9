-- SPDX-License-Identifier: MIT
-- files/1: a folder that peers may fetch from; fifty requests of 1 MiB instead of one of 50 MiB, from several peers.
--
-- What you will see: the file arrives in parts from all peers that are named, each part verified; a peer that stalls or
-- dies costs a moment; the last line is `verified NAME BYTES HASH`.
--
--   weir run files.lua --listen :4001 --allow fs=DIR              serves DIR, prints its invitation
--   weir run files.lua --allow fs=OUT -- NAME weir:PEERID@host:4001 [more peers]
local P = protocol "files/1" {
    serve = 64, per_peer = 16,
    about = request { bytes = 512, answer = 16*KB, within = 30*sec },
    part = range { part = 1*MB, within = 60*sec, bytes = 512 },
    fields = { known = {} },
}

local PART = 1*MB

-- The size and one hash for each part, worked out once for each file.
function P:describe(name)
    if self.known[name] then return self.known[name] end
    local f, why = file(name, "read")
    if not f then return nil, why end
    local whole, parts = hasher(), {}
    local about = { size = f.size }
    for off = 0, f.size - 1, PART do
        local h, left = hasher(), math.min(PART, f.size - off)
        while left > 0 do
            local bytes = f:read(math.min(left, 64*KB))
            if not bytes then return nil, "the file became shorter" end
            h:add(bytes)
            whole:add(bytes)
            left = left - #bytes
        end
        parts[#parts + 1] = h:done()
    end
    about.hash, about.parts = whole:done(), table.concat(parts)
    self.known[name] = about
    return about
end

function P:about(from, name)
    return self:describe(name) or refuse "absent"
end

function P:part(from, name, offset, length, out)
    local f = file(name, "read", offset)
    if not f then return refuse "absent" end
    out:copy(f, length)
end

function P:start(name, ...)
    if not name then return end
    local from, about, why = {}, nil, "no peer is named"
    for _, address in ipairs { ... } do
        local peer
        peer, why = connect(address)
        if peer then
            about = about or ask(peer, P.about, name)
            from[#from + 1] = peer
        end
    end
    if not about then
        print("cannot fetch " .. name .. ": " .. (why or "no peer has it"))
        return quit(1)
    end
    local ok
    ok, why = fetch { from = from, range = P.part, what = name, size = about.size, part = PART,
        hashes = about.parts, into = name, progress = true }
    if not ok then print("cannot fetch " .. name .. ": " .. why) return quit(1) end
    print("verified", name, about.size, hex(about.hash))
    quit(0)
end

return P
