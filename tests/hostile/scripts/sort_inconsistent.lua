-- Tries to lead the sort astray by an order that contradicts itself.
-- expect: ok error
local t = {}
for i = 1, 1000 do
    t[i] = i * 7919 % 1000
end
local calls = 0
pcall(table.sort, t, function()
    calls = calls + 1
    return calls % 3 ~= 0
end)
pcall(table.sort, t, function()
    return true
end)
