-- Tries patterns of many pieces over a long subject, caught.
-- expect: instructions
local s = ("ab"):rep(30000)
while true do
    pcall(string.gsub, s, "a*b*a*b*c", "x")
end
