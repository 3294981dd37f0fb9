-- Tries to run forever below coroutine.wrap below pcall.
-- expect: instructions
while true do
    pcall(coroutine.wrap(function()
        while true do
        end
    end))
end
