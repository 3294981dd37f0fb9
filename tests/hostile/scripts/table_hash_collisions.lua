-- Tries keys that fall into one chain of the table.
-- expect: instructions memory ok
local t, step = {}, (1 << 12) - 1
for i = 1, 4096 do
    t[i * step] = i
end
local x
for i = 1, 100000 do
    x = t[4096 * step]
end
