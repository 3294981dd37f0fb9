-- Tries to fill memory with suspended coroutines.
-- expect: memory instructions
local all = {}
while true do
    local co = coroutine.create(function()
        coroutine.yield()
    end)
    coroutine.resume(co)
    all[#all + 1] = co
end
