-- Tries to spend time in the compiler.
-- expect: instructions
local text = ("local a = 1 + 2 * 3 "):rep(100)
while true do
    load(text)
end
