-- Tries to have one call go through a long chain of __call, which is quadratic.
-- expect: instructions memory error
local t = print
for i = 1, 2000 do
    t = setmetatable({}, { __call = t })
end
while true do
    pcall(t)
end
