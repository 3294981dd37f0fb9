-- Tries to stay below the hook's interval by going in and out of one coroutine.
-- expect: instructions
local co = coroutine.wrap(function()
    while true do
        coroutine.yield()
    end
end)
while true do
    co()
end
