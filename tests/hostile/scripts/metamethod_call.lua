-- Tries to run forever in __call.
-- expect: instructions
local t
t = setmetatable({}, { __call = function()
    return t()
end })
pcall(t)
