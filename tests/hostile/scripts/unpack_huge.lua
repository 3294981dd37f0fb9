-- Tries to unpack more than there is room for.
-- expect: ok
assert(not pcall(table.unpack, {}, 1, 1 << 40))
assert(not pcall(table.unpack, {}, math.mininteger, math.maxinteger))
pcall(string.byte, ("x"):rep(1 << 16), 1, -1)
assert(not pcall(select, 0))
assert(select(math.maxinteger, 1, 2) == nil)
