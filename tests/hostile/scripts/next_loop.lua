-- Tries to walk a large table by next, where every step looks at all keys.
-- expect: instructions
local t = {}
for i = 1, 10000 do
    t["k" .. i] = i
end
local k
repeat
    k = next(t, k)
until not k
