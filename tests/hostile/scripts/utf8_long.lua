-- Tries to spend time in utf8.
-- expect: instructions
local s = ("\u{20AC}"):rep(100000)
while true do
    utf8.len(s)
    utf8.offset(s, -1)
    for _ in utf8.codes(s) do
    end
end
