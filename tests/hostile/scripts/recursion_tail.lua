-- Tries to run forever by tail calls.
-- expect: instructions
local function again()
    return again()
end
again()
