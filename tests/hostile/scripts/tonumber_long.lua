-- Tries to have a long numeral read without end.
-- expect: instructions
local s = (" "):rep(1 << 20) .. "1"
while true do
    pcall(tonumber, s)
    pcall(tonumber, s, 10)
    pcall(math.tointeger, s)
end
