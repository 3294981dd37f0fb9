-- Tries every kind of error object, and one that holds itself.
-- expect: error
for _, what in ipairs { 1, 1.5, true, {}, print, coroutine.create(print) } do
    local fine, caught = pcall(error, what)
    assert(not fine and caught == what)
end
pcall(error)
local t = {}
t.message = t
error(t)
