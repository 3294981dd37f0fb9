-- Tries to overflow the C stack: a close handler closes a coroutine whose handler closes one ...
-- expect: ok
local co
for i = 1, 2000 do
    local inner = co
    co = coroutine.create(function()
        local guard <close> = setmetatable({}, { __close = function()
            if inner then coroutine.close(inner) end
        end })
        coroutine.yield()
    end)
    coroutine.resume(co)
end
coroutine.close(co)
