-- Tries to have long strings hashed and compared as keys.
-- expect: instructions memory error
local t = {}
while true do
    local key = ("x"):rep(1 << 18)
    t[key] = true
    key = t[("x"):rep(1 << 18)]
end
