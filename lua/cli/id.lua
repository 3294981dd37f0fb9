-- SPDX-License-Identifier: MIT
-- weir id: make or show a key.
local node, screen, text = weir.module("node"), weir.module("screen"), weir.module("text")

return function(o)
    local path = o.key or node.default_key()
    if o.new and weir.look(path) then
        node.fail(("%s is there already: without --new it is shown"):format(path))
    end
    local key, is_new = node.key(path)
    local peer = weir.key_peer(key)
    local invitation
    if o.listen then
        local address, why = weir.address(o.listen)
        if not address then node.fail(("--listen: %s"):format(why), 2) end
        invitation = ("weir:%s@%s"):format(peer, o.listen)
    end
    if o.json then
        screen.print(text.json { peer = peer, key = path, new = is_new, invitation = invitation })
        return 0
    end
    if is_new then screen.say("info", "made " .. path) end
    screen.print(peer)
    if invitation then screen.print(invitation) end
    return 0
end
