-- Tries to learn addresses from the order of keys.
-- expect: ok
local t = { [print] = 1, [{}] = 2, [coroutine.create(print)] = 3 }
assert(not pcall(pairs, t))
assert(not pcall(next, t))
assert(not pcall(pairs, nil))
