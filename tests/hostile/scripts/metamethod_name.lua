-- Tries to learn an address, or to confuse error messages with __name.
-- expect: ok
local t = setmetatable({}, { __name = ("x"):rep(10000) })
assert(#tostring(t) == 10000)
assert(not pcall(string.rep, t))
assert(tostring({}) == "table" and tostring(print) == "function")
assert(tostring(coroutine.create(print)) == "thread")
assert(not pcall(string.format, "%p", {}) or string.format("%p", {}) == "")
assert(not pcall(string.rep, setmetatable({}, { __name = {} })))
