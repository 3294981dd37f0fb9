-- Tries to run the close handlers of a coroutine that the stop has killed, where no hook looks.
-- expect: instructions
local co
co = coroutine.create(function()
    local guard <close> = setmetatable({}, { __close = function()
        while true do
        end
    end })
    while true do
    end
end)
local last <close> = setmetatable({}, { __close = function()
    coroutine.close(co)
end })
coroutine.resume(co)
