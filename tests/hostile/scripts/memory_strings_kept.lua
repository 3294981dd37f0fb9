-- Tries to fill the table of all strings.
-- expect: memory instructions
local t = {}
for i = 1, math.maxinteger do
    t["key" .. i] = true
end
