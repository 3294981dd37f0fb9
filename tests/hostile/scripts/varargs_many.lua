-- Tries to have arguments copied without end, by Lua code alone.
-- expect: instructions error memory
local function none() end
local function all(...)
    while true do
        none(...)
        none(...)
        none(...)
    end
end
local function grow(n, ...)
    if n == 0 then return all(...) end
    return grow(n - 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...)
end
grow(300)
