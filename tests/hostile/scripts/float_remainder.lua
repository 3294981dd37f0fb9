-- Tries remainders of floats that are far apart, which the processor does bit by bit.
-- expect: instructions
local big, small = 1e308, 3e-308
while true do
    local x = big % small, big % small, big % small, big % small
end
