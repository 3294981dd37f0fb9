-- Tries the same with a table behind __newindex, and by rawset.
-- expect: instructions
local t, step = {}, (1 << 15) - 1
local proxy = setmetatable({}, { __newindex = setmetatable({}, { __newindex = t }) })
local decoy = {}
for i = 1, 1 << 14 do
    decoy[-i] = true
    proxy[i * step] = i
end
for i = 1 << 14, 1 << 15 do
    rawset(t, i * step, decoy)
end
error("it grew")
