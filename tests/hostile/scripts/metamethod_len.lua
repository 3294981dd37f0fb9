-- Tries to run forever in __len, and to lie about a length.
-- expect: instructions
local liar = setmetatable({}, { __len = function()
    return math.maxinteger
end })
pcall(table.unpack, liar)
pcall(table.concat, liar)
pcall(table.insert, liar, 1)
pcall(table.sort, liar)
local t = setmetatable({}, { __len = function()
    while true do
    end
end })
pcall(table.unpack, t)
