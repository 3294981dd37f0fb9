-- Tries to make the compiler slow: names looked up through many functions with many locals.
-- expect: instructions ok
local locals = {}
for i = 1, 180 do
    locals[i] = "a" .. i
end
local level = "local " .. table.concat(locals, ",") .. " return function() "
load(level:rep(22) .. ("b()"):rep(4000) .. (" end"):rep(22))
