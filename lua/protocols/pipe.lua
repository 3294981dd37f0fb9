-- SPDX-License-Identifier: MIT
-- pipe/1: the output of a process on one machine becomes a file on another, no faster than the disk there.
--
-- What you will see: the process on the left stands still whenever the reader on the right does; nothing grows between
-- them but two windows.
--
--   weir run pipe.lua --listen :4001 --allow fs=DIR                                writes DIR/NAME
--   weir run pipe.lua --allow exec -- weir:PEERID@host:4001 NAME tar c some/folder
local P = protocol "pipe/1" {
    serve = 8,
    upload = stream { idle = 60*sec },
}

function P:upload(from, s)
    local name = s:read_line(200)
    if not name then return s:reset() end
    local f, why = file(name, "new")
    if not f then
        s:write("no: " .. why .. "\n")
        return s:finish()
    end
    local bytes
    bytes, why = s:copy(f)
    if bytes then
        f:finish()
        f:wait()
    end
    s:write(bytes and ("ok: " .. bytes .. "\n") or ("no: " .. why .. "\n"))
    s:finish()
    print(name, bytes or why)
end

function P:start(address, name, ...)
    if not address then return end
    local peer, why = connect(address)
    if not peer then print(why) return quit(1) end
    local process
    process, why = child { ... }
    if not process then print(why) return quit(1) end
    process:finish()
    local s
    s, why = open(peer, P.upload)
    if not s then print(why) return quit(1) end
    s:write(name .. "\n")
    local bytes
    bytes, why = process:copy(s)
    s:finish()
    local said = s:read_line() or "the other side left"
    print(said)
    quit(bytes and said:sub(1, 3) == "ok:" and process:wait() or 1)
end

return P
