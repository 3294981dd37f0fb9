-- Tries to overflow the stack again and again.
-- expect: memory instructions error
local function deep()
    return 1 + deep()
end
while true do
    pcall(deep)
end
