-- Tries to fill memory by a substitution.
-- expect: memory instructions error
local s = ("x"):rep(1 << 16)
while true do
    s = s:gsub("x", "xxxx")
end
