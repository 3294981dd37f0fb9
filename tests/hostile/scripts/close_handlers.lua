-- Tries to run forever in the close handlers on the way out of the stop.
-- expect: instructions
local forever = setmetatable({}, { __close = function()
    while true do
    end
end })
local function deeper(depth)
    local guard <close> = forever
    if depth > 0 then return (deeper(depth - 1)) end
    while true do
    end
end
deeper(100)
