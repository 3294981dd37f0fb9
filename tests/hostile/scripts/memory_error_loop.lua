-- Tries to live on after "not enough memory", over and over.
-- expect: memory instructions
while true do
    pcall(function()
        local t = {}
        while true do
            t[#t + 1] = ("x"):rep(10000) .. #t
        end
    end)
end
