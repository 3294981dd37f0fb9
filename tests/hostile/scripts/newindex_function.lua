-- Tries to run forever in __newindex.
-- expect: instructions
local t = setmetatable({}, { __newindex = function()
    while true do
    end
end })
pcall(function()
    t.x = 1
end)
