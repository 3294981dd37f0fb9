-- Tries to fill memory and time with a list of arguments that grows.
-- expect: memory instructions error
local function grow(...)
    return grow(1, ...)
end
grow()
