-- Tries to make the chain of __call after setmetatable, and has close handlers run it.
-- expect: error instructions
local t = function() end
for i = 1, 3000 do
    local meta = {}
    local link = setmetatable({}, meta)
    meta.__call = t
    rawset(meta, "__call", t)
    t = link
end
local meta = { __close = print }
local function go()
    local a <close> = setmetatable({}, meta)
    local b <close> = setmetatable({}, meta)
    local c <close> = setmetatable({}, meta)
    meta.__close = t
    error("on the way out")
end
assert(not pcall(t))
while true do
    meta.__close = print
    pcall(go)
end
