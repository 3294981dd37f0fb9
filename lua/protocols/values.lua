-- SPDX-License-Identifier: MIT
-- values/1: a feed of values by key, in which "value is now 5" takes the place of "value is now 3".
--
-- What you will see: every follower ends with the newest value of each key, however slow it is; one that was slow is
-- told how many values were merged.
--
--   weir run values.lua --listen :4001 -- temperature load         publishes two keys, which wander
--   weir run values.lua -- weir:PEERID@host:4001                    follows
local P = protocol "values/1" {
    serve = 64,
    value = feed { kind = "state", keys = 256, bytes = 256 },
    put = request { bytes = 512, answer = 16, within = 5*sec },
    fields = { keys = {}, wander = {} },
}

-- Anybody may set a value; it is told to all that follow.
function P:put(from, m)
    if type(m) ~= "table" or type(m.key) ~= "string" or #m.key == 0 or #m.key > 64 then
        return refuse "a key has 1 to 64 bytes"
    end
    return self.value:set(m.key, m.value)
end

function P:step()
    for _, key in ipairs(self.keys) do
        self.wander[key] = (self.wander[key] or 0) + math.random(-3, 3)
        self.value:set(key, self.wander[key])
    end
end

function P:follow(address)
    local peer, why = connect(address)
    if not peer then print(why) return quit(1) end
    local items
    items, why = follow(peer, P.value)
    if not items then print(why) return quit(1) end
    for key, value, missed in items do
        print(key, value, missed > 0 and missed .. " merged" or "")
    end
    print("the feed ended")
    quit(0)
end

P:every(200*ms, P.step)

function P:start(...)
    local first = ...
    if first and first:find("[:/]") then return self:follow(first) end
    self.keys = { ... }
end

return P
