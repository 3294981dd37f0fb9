-- Tries the chain of __call with a function at its end that takes no argument.
-- expect: instructions memory error
local function none() end
local t = none
for i = 1, 5000 do
    t = setmetatable({}, { __call = t })
end
while true do
    t()
end
