-- Tries the chain of __call behind functions of the library that call back.
-- expect: instructions memory error
local t = function()
    return "x"
end
for i = 1, 3000 do
    t = setmetatable({}, { __call = t })
end
local x = setmetatable({}, { __tostring = t, __index = t, __lt = t, __pairs = t })
while true do
    pcall(tostring, x)
    pcall(table.sort, { x, x, x })
    pcall(pairs, x)
    pcall(table.sort, { 3, 2, 1 }, t)
    pcall(string.gsub, "xx", "x", t)
end
