-- Tries short chains in many small tables.
-- expect: instructions
local all, step = {}, (1 << 7) - 1
for k = 1, 50 do
    local t = {}
    for i = 1, 60 do
        t[-i] = true
    end
    for i = 1, 60 do
        t[i * step] = i
    end
    all[k] = t
end
while true do
    for k = 1, 50 do
        local t = all[k]
        local a, b, c, d = t[60 * step], t[600 * step], t[61 * step], t[62 * step]
        a, b, c, d = t[60 * step], t[600 * step], t[61 * step], t[62 * step]
    end
end
