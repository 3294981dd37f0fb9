-- Tries to keep the object of the stop and to raise it later as an error of its own.
-- expect: error
local kept
local guard = setmetatable({}, { __close = function(_, why)
    kept = why
end })
pcall(function()
    local x <close> = guard
    error("mine")
end)
error(kept)
