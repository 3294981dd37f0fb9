-- Tries to overflow the stack.
-- expect: memory instructions error
local function deep(n)
    return 1 + deep(n + 1)
end
deep(0)
