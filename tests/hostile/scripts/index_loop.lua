-- Tries a chain of __index that ends where it began.
-- expect: error
local t = {}
t.__index = t
setmetatable(t, t)
return t.x
