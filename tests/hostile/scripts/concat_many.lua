-- Tries to build strings by pieces in the square.
-- expect: instructions memory
local s = ""
while true do
    s = s .. "some more"
end
