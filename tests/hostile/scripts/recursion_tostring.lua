-- Tries to overflow the C stack by __tostring that calls tostring.
-- expect: error
local t = setmetatable({}, { __tostring = function(self)
    return tostring(self)
end })
tostring(t)
