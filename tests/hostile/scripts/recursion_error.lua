-- Tries an error while an error is handled (CVE-2022-33099 was one).
-- expect: error memory instructions
local function handler()
    local function deep()
        return 1 + deep()
    end
    return deep()
end
local function dive()
    return xpcall(dive, handler)
end
dive()
local function loop()
    loop(loop, nosuch.field)
end
loop()
