-- Tries to make unwinding long: thousands of pending close handlers.
-- expect: instructions memory error
local forever = setmetatable({}, { __close = function()
    while true do
    end
end })
local function deeper()
    local guard <close> = forever
    local result = deeper()
    return result
end
deeper()
