-- SPDX-License-Identifier: MIT
-- weir limits: every limit of a node, its value, and where the value comes from.
local node, screen, text = weir.module("node"), weir.module("screen"), weir.module("text")

local function value(n, unit)
    if not n then return "none" end
    if unit == "bytes" then return text.bytes(n) end
    if unit:match("^microsecond") then return text.time(n) end
    return text.count(n)
end

local function source(limit, o)
    if not limit.value then return "unlimited" end
    if limit.default == 0 then
        return (o.memory or o.peers) and "derived from the options" or "derived from memory"
    end
    return limit.default == limit.value and "fixed" or "set"
end

return function(o)
    local n, why = weir.node { memory = o.memory, peers = o.peers }
    if not n then node.fail(why) end
    local limits = n:limits()
    if o.json then
        for _, limit in ipairs(limits) do limit.source = source(limit, o) end
        screen.print(text.json(limits))
        return 0
    end
    local rows = { { "LIMIT", "OF A", "VALUE", "USED", "FROM", "WHY" } }
    for _, limit in ipairs(limits) do
        local unit = (limit.unit == "bytes" or limit.unit:match("^microsecond")) and ""
            or " " .. limit.unit
        rows[#rows + 1] = { limit.name, limit.scope, value(limit.value, limit.unit) .. unit,
            limit.used and value(limit.used, limit.unit) or "", source(limit, o), limit.why }
    end
    screen.columns(rows, { [4] = true })
    n:close()
    return 0
end
