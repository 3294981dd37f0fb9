-- Tries to fill the stack by doubling arguments.
-- expect: memory instructions error
local function double(...)
    local t = { ... }
    for i = 1, #t do
        t[#t + 1] = t[i]
    end
    return double(table.unpack(t))
end
double(1)
