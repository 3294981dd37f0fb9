-- Tries to have code run while the error is described.
-- expect: error
error(setmetatable({}, {
    __tostring = function()
        while true do
        end
    end,
    __index = function()
        while true do
        end
    end,
    __name = { "no name" },
}))
