-- Tries to run forever in __pairs.
-- expect: instructions
local t = setmetatable({}, { __pairs = function()
    return function()
        return 1
    end
end })
for k in pairs(t) do
    local x = k
end
