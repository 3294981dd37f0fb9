-- Tries to fill memory with one table.
-- expect: memory instructions
local t = {}
for i = 1, math.maxinteger do
    t[i] = i
end
