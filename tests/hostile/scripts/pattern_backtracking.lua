-- Tries to make a pattern match backtrack for ever.
-- expect: instructions
local s = ("a"):rep(40000)
return s:find((".-"):rep(20) .. "b")
