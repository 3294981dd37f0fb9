-- Tries to walk a table whose keys collide, which is quadratic.
-- expect: instructions
local t, step = {}, (1 << 12) - 1
for i = 1, 2049 do
    t[-i * 4] = true
end
for i = 1, 2049 do
    t[-i * 4] = nil
end
for i = 1, 2000 do
    t[i * step] = i
end
while true do
    for k in pairs(t) do
    end
end
