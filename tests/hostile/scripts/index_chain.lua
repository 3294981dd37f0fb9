-- Tries to have one instruction look through two thousand tables.
-- expect: instructions
local t = {}
for i = 1, 1900 do
    t = setmetatable({}, { __index = t })
end
while true do
    local x = t.missing, t.missing, t.missing, t.missing
end
