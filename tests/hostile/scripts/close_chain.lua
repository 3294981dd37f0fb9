-- Tries the chain of __call behind close handlers.
-- expect: instructions memory error
local t = function() end
for i = 1, 4000 do
    t = setmetatable({}, { __call = t })
end
local meta = { __close = t }
while true do
    local guard <close> = setmetatable({}, meta)
end
