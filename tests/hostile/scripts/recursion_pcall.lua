-- Tries to overflow the C stack by pcall in pcall.
-- expect: ok instructions
local function dive(depth)
    local fine, result = pcall(dive, depth + 1)
    return fine and result or depth
end
assert(dive(0) > 50)
