-- Tries the libraries that are not there.
-- expect: ok
for _, name in ipairs { "os", "io", "debug", "package", "require", "dofile", "loadfile",
    "loadstring", "collectgarbage", "warn", "module", "setfenv", "getfenv" } do
    assert(not pcall(function()
        return _G[name]
    end))
    assert(rawget(_G, name) == nil)
end
