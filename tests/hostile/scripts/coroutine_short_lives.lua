-- Tries to stay below the hook's interval: each coroutine ends before it is looked at.
-- expect: instructions
while true do
    coroutine.wrap(function()
        for i = 1, 20 do
            local x = i
        end
    end)()
end
