-- Tries to live just below the cap, where each allocation is a collection.
-- expect: memory instructions
local kept = {}
pcall(function()
    while true do
        kept[#kept + 1] = ("x"):rep(4000) .. #kept
    end
end)
for i = 1, 4 do
    kept[#kept] = nil
end
while true do
    pcall(string.rep, "y", 20000)
end
