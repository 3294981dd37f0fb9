-- Tries to have one call fill the stack with the links of a chain.
-- expect: instructions memory error
local t = print
for i = 1, 30000 do
    t = setmetatable({}, { __call = t })
end
while true do
    pcall(t)
end
