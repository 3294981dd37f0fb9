-- Tries to resume the coroutine that runs, and the one that waits for it.
-- expect: ok
local co
co = coroutine.create(function()
    assert(not coroutine.resume(co))
    local inner = coroutine.create(function()
        assert(not coroutine.resume(co))
        assert(not pcall(coroutine.close, co))
    end)
    assert(coroutine.resume(inner))
end)
assert(coroutine.resume(co))
assert(coroutine.running() == nil)
