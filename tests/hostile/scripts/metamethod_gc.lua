-- Tries to get a finalizer, which would run at any time and without a budget.
-- expect: ok
local forever = function()
    while true do
    end
end
assert(not pcall(setmetatable, {}, { __gc = forever }))
assert(not pcall(setmetatable, {}, { __gc = false }))
local meta = {}
local t = setmetatable({}, meta)
meta.__gc = forever
t = nil
for i = 1, 1000 do
    t = { {}, {}, {} }
end
