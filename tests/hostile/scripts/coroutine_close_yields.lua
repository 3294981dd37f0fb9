-- Tries to get out of the stop by yielding from a close handler on the way.
-- expect: instructions
local co = coroutine.create(function()
    pcall(function()
        local guard <close> = setmetatable({}, { __close = coroutine.yield })
        while true do
        end
    end)
end)
coroutine.resume(co)
while true do
end
