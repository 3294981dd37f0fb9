-- Tries to pull the table away while it is sorted.
-- expect: ok error
local t = {}
for i = 1, 500 do
    t[i] = -i
end
pcall(table.sort, t, function(a, b)
    t[#t] = nil
    return a < b
end)
