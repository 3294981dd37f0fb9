-- Tries to compare long strings, which is one instruction.
-- expect: instructions
local a = ("x"):rep(4 << 20)
while true do
    local less = a < a, a < a, a < a, a < a, a < a
end
