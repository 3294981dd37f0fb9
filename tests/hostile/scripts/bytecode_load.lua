-- Tries to load bytecode, which nothing verifies.
-- expect: ok
local f, why = load("\27Lua\x54\0\x19\x93\r\n\x1a\n", "x", "b")
assert(f == nil and why)
f, why = load("\27Lua\x54\0\x19\x93\r\n\x1a\n", "x", "bt")
assert(f == nil and why)
f, why = load("\27Lua\x54\0\x19\x93\r\n\x1a\n")
assert(f == nil and why)
