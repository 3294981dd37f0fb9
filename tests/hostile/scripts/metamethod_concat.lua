-- Tries to run forever in __concat.
-- expect: instructions
local t = setmetatable({}, { __concat = function()
    while true do
    end
end })
return pcall(function()
    return t .. "x" .. t
end)
