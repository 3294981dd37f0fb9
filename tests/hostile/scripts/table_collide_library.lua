-- Tries to have functions of the library walk long chains.
-- expect: instructions
local t, step = {}, (1 << 11) - 1
for i = 1, 1025 do
    t[-i * 4] = true
end
for i = 1, 900 do
    t[i * step] = i
end
local other = setmetatable({}, { __index = t, __newindex = t, __len = function()
    return 900
end })
while true do
    pcall(table.unpack, t, 2, 1001)
    pcall(table.concat, t, "", 1, 1000)
    pcall(table.move, t, 1, 1000, 5000)
    pcall(table.insert, other, 1, 1)
    pcall(table.remove, other, 1)
    pcall(table.sort, other)
    pcall(ipairs(t), t, 7)
    pcall(pairs, t)
    pcall(next, t, step)
    pcall(string.gsub, ("x"):rep(1000), "x", t)
    pcall(rawlen, t)
    pcall(rawset, t, 7777, nil)
end
