-- Tries to change what other scripts of the state see.
-- expect: ok
assert(not pcall(function()
    _G.print = nil
end))
assert(not pcall(function()
    print = nil
end))
assert(not pcall(rawset, _G, "x", 1))
assert(not pcall(rawset, _ENV, "print", 1))
assert(not pcall(setmetatable, _G, {}))
assert(getmetatable(_G) == false)
assert(not pcall(table.insert, _G, 1))
for name, library in pairs(_G) do
    if type(library) == "table" then
        assert(not pcall(rawset, library, "x", 1))
        assert(getmetatable(library) == false)
    end
end
