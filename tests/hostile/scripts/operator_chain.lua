-- Tries the chain of __call behind an operator.
-- expect: instructions memory error
local t = print
for i = 1, 4000 do
    t = setmetatable({}, { __call = t })
end
local x = setmetatable({}, { __add = t, __eq = t, __len = t, __concat = t, __lt = t })
while true do
    local a = x + x, x .. x, #x, x < x, x == {}
end
