-- Tries to run forever in __index.
-- expect: instructions
local t = setmetatable({}, { __index = function(self, key)
    while true do
    end
end })
return t.x
