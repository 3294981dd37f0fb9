-- Tries the chain of __call behind a generic for.
-- expect: instructions memory error
local t = function()
    return 1
end
for i = 1, 4000 do
    t = setmetatable({}, { __call = t })
end
for i in t do
    local x = i
end
