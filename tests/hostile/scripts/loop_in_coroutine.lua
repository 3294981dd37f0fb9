-- Tries to run forever in a coroutine, and in the next one when that is stopped.
-- expect: instructions
while true do
    coroutine.resume(coroutine.create(function()
        while true do
        end
    end))
end
