-- Tries to have one instruction write through two thousand tables.
-- expect: instructions
local t = {}
for i = 1, 1900 do
    t = setmetatable({}, { __newindex = t })
end
while true do
    t.x = nil
    t.x = nil
    t.x = nil
end
