-- Tries to reach the environment's real table, or another one, through load.
-- expect: ok
local f = load("print = nil", "x", "t", _G)
assert(not pcall(f))
f = load("return _ENV")
assert(f() == _G)
f = load("x = 1 return x", "x", "t", {})
assert(f() == 1)
assert(type(print) == "function")
