-- Tries to have functions of the library called on the way out of the stop.
-- expect: instructions
for _, handler in ipairs { print, pairs, pcall, string.rep, table.concat, rawset } do
    pcall(function()
        local guard <close> = setmetatable({}, { __close = handler })
        while true do
        end
    end)
end
