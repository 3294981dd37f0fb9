-- Tries to walk a long chain with every access, also for keys that are not there.
-- expect: instructions
local t, step = {}, (1 << 11) - 1
for i = 1, 1 << 10 do
    t[-i * 8] = true
    t[-i * 8] = nil
end
for i = 1, 1000 do
    t[i * step] = i
end
local n = 0
while true do
    local a, b, c, d = t[1000 * step], t.a, t.b, t[0.5]
    n = n + #t
    t.a = nil
    rawget(t, 3000 * step)
end
