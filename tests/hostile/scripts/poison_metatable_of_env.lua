-- Tries to hand the environment's proxy around as a metatable or as an __index.
-- expect: ok
assert(not pcall(setmetatable, {}, _G))
assert(not pcall(setmetatable, {}, string))
local t = setmetatable({}, { __index = _G, __newindex = _G })
assert(t.print == print)
assert(not pcall(function()
    t.print = 1
end))
