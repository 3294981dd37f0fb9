-- Tries to run forever in __tostring.
-- expect: instructions
local t = setmetatable({}, { __tostring = function()
    while true do
    end
end })
pcall(tostring, t)
pcall(print, t)
pcall(string.format, "%s", t)
