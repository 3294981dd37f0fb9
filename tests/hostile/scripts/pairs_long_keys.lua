-- Tries to have pairs compare long keys that differ at their ends.
-- expect: instructions memory
local t, head = {}, ("x"):rep(20000)
for i = 1, 200 do
    t[head .. i] = true
end
while true do
    pairs(t)
end
