-- Tries to fill memory with a list of lists.
-- expect: memory instructions
local t = {}
while true do
    t = { t, {}, {}, {} }
end
