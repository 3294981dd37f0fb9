-- SPDX-License-Identifier: MIT
-- Sends a file to a pipe/1, as a child's output would be sent: in a world there are no children.
--
--   uploader.lua ADDRESS NAME FILE
local pipe = use "pipe"
local P = protocol "uploader/1" {}

function P:start(address, name, from)
    local peer = connect(address)
    local s = open(peer, pipe.upload)
    s:write(name .. "\n")
    if from then file(from, "read"):copy(s) end
    s:finish()
    print(s:read_line())
end

return P
