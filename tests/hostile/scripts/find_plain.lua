-- Tries a plain search that compares much at each place.
-- expect: instructions
local s = ("a"):rep(1 << 20)
local what = ("a"):rep(1 << 19) .. "b"
while true do
    s:find(what, 1, true)
end
