-- Tries to hold on at 150 levels of pcall, each of which goes on when the inner one ends.
-- expect: instructions
local function hold(depth)
    if depth > 0 then pcall(hold, depth - 1) end
    while true do
    end
end
hold(150)
