-- Tries to have pack make much out of little.
-- expect: instructions memory error
while true do
    pcall(string.pack, ("s8"):rep(100), ("x"):rep(1000))
    pcall(string.pack, "!16" .. ("Xi16"):rep(1000))
    pcall(string.unpack, ("s1"):rep(1000), ("\0"):rep(1000))
end
