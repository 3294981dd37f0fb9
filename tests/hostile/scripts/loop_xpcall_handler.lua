-- Tries to run in the handler of an error, where Lua itself does not count.
-- expect: instructions
xpcall(error, function()
    while true do
    end
end)
