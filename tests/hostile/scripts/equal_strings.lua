-- Tries to compare long strings for equality, which is one instruction.
-- expect: instructions
local a, b = ("x"):rep(2 << 20), ("x"):rep(2 << 20)
local n = 0
while true do
    if a == b then n = n + 1 end
end
