-- Tries to have a long numeral read by arithmetic.
-- expect: instructions
local s = (" "):rep(1 << 20) .. "1"
local function add()
    return s + s
end
while true do
    pcall(add)
end
