-- SPDX-License-Identifier: MIT
-- Prints the size and the BLAKE2b-256 of a file of this node.
local P = protocol "digest/1" {}

function P:start(name)
    local f, why = file(name, "read")
    if not f then return print(why) end
    local h, size = hasher(), 0
    for bytes in f:chunks(64*KB) do
        h:add(bytes)
        size = size + #bytes
    end
    print(size, hex(h:done()))
end

return P
