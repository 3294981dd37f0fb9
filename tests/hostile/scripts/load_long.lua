-- Tries to load a text that is too long.
-- expect: ok
assert(load(("x"):rep(70000)) == nil)
