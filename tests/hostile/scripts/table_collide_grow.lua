-- Tries keys that all collide when the table grows, which is one instruction.
-- expect: instructions
local t, step = {}, (1 << 15) - 1
for i = 1, 1 << 15 do
    t[i * step] = i
end
error("it grew")
