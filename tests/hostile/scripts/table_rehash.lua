-- Tries to have a table with a long list rebuilt again and again.
-- expect: instructions memory
local t = {}
for i = 1, 100000 do
    t[i] = i
end
local n = 0
while true do
    n = n + 1
    t[-n] = n
    t[-n] = nil
    t["k" .. n % 3] = n
    t["k" .. (n + 1) % 3] = nil
end
