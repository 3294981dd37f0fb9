-- Tries to have pairs sort again and again.
-- expect: instructions
local t = {}
for i = 1, 10000 do
    t[-i] = i
end
while true do
    pairs(t)
end
