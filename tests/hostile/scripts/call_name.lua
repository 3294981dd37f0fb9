-- Tries to find the name under which Lua itself looks for __call.
-- expect: ok
local meta = { __call = function(self, x)
    return x
end }
local t = setmetatable({}, meta)
assert(t(7) == 7)
local seen = 0
for k, v in pairs(meta) do
    assert(k == "__call")
    seen = seen + 1
end
assert(seen == 1 and next(meta) == "__call" and next(meta, "__call") == nil)
meta.__call = nil
setmetatable(t, meta)
assert(not pcall(t) and next(meta) == nil)
assert(not pcall(setmetatable, {}, { __call = t }))
