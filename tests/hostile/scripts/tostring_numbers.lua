-- Tries to spend time in conversions.
-- expect: instructions
while true do
    local s = 1.0000000001 .. "", tostring(2 ^ 0.5), tonumber("0x1p-1074")
end
