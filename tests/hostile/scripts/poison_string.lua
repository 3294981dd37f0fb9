-- Tries to change the methods of all strings.
-- expect: ok
assert(getmetatable("") == false)
assert(not pcall(function()
    string.rep = nil
end))
assert(not pcall(rawset, string, "rep", 1))
assert(not pcall(setmetatable, string, {}))
assert(not pcall(setmetatable, "", {}))
assert(not pcall(table.insert, string, "x"))
assert(not pcall(table.move, { 1 }, 1, 1, 1, string))
assert(("x"):rep(2) == "xx" and next(string) == "byte")
