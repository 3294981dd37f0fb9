-- Tries to confuse a walk by changing the table.
-- expect: ok
local t = { 1, 2, 3, a = 1, b = 2, c = 3 }
local seen = 0
for k in pairs(t) do
    seen = seen + 1
    t[k] = nil
    t["new" .. seen] = true
    if seen == 2 then t.b = nil end
end
assert(seen == 5)
