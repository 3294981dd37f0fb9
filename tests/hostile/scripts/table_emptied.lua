-- Tries to walk a large table that is empty, again and again.
-- expect: instructions
local t = {}
for i = 1, 4000 do
    t["k" .. i] = true
end
for i = 1, 4000 do
    t["k" .. i] = nil
end
while true do
    next(t)
    pairs(t)
end
