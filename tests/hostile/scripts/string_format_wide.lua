-- Tries large widths and many conversions.
-- expect: ok
assert(not pcall(string.format, "%1000000d", 1))
assert(not pcall(string.format, ("%d"):rep(300)))
assert(not pcall(string.format, "%.1000f", 1))
assert(#string.format("%99.99f", 1e308) < 500)
