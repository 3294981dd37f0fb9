-- Tries to overflow the C stack of the compiler by nesting.
-- expect: ok
assert(load("return " .. ("("):rep(10000) .. "1" .. (")"):rep(10000)) == nil)
assert(load(("do "):rep(1000)) == nil)
assert(load("return " .. ("{"):rep(10000)) == nil)
assert(load("return " .. ("not "):rep(5000) .. "1") == nil)
