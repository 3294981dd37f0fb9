-- Tries to fill memory with functions.
-- expect: memory instructions
local last = print
while true do
    local inner = last
    last = function()
        return inner
    end
end
