-- Tries to overflow the C stack by coroutines that resume coroutines.
-- expect: ok
local function dive(depth)
    local co = coroutine.create(dive)
    local fine, result = coroutine.resume(co, depth + 1)
    return fine and result or depth
end
assert(dive(0) > 50)
