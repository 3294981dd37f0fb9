-- Tries to run forever in __lt, out of table.sort.
-- expect: instructions
local meta = { __lt = function()
    while true do
    end
end }
pcall(table.sort, { setmetatable({}, meta), setmetatable({}, meta) })
