-- Tries to have arguments copied without end.
-- expect: instructions error memory
local t = {}
for i = 1, 900 do
    t[i] = i
end
local function all(...)
    for i = 1, 1000000 do
        select(1, ...)
        select("#", ...)
    end
end
all(table.unpack(t))
