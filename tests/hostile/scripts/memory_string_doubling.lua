-- Tries to fill memory by doubling a string.
-- expect: memory instructions
local s = "x"
while true do
    pcall(function()
        s = s .. s
    end)
end
