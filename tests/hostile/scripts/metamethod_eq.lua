-- Tries to run forever in __eq.
-- expect: instructions
local meta = { __eq = function()
    while true do
    end
end }
return pcall(function()
    return setmetatable({}, meta) == setmetatable({}, meta)
end)
