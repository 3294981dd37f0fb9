-- Tries to survive the stop: every error is caught, and the loop goes on.
-- expect: instructions
while true do
    pcall(function()
        while true do
        end
    end)
end
