-- Tries to overflow the C stack by sorting while comparing.
-- expect: error
local function dive(a, b)
    table.sort({ 3, 1, 2 }, dive)
    return a < b
end
dive(1, 2)
