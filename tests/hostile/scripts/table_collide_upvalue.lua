-- Tries it with a table that only an upvalue holds, by names.
-- expect: instructions
local t, step = {}, (1 << 12) - 1
local function set(key)
    t[key] = true
    t.name = nil
    t.name = true
end
for i = 1, 1 << 13 do
    set(i * step)
end
error("it grew")
