-- Tries to overflow the C stack by a substitution in a substitution.
-- expect: error
local function dive()
    return (("x"):gsub("x", dive))
end
dive()
