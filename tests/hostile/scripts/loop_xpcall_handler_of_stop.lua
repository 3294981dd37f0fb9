-- Tries to get the stop itself into a handler, and to go on there.
-- expect: instructions
xpcall(function()
    while true do
    end
end, function()
    while true do
    end
end)
while true do
end
