-- Tries to fill memory in table.concat.
-- expect: memory instructions error
local t, part = {}, ("x"):rep(1 << 16)
for i = 1, 10000 do
    t[i] = part
end
return table.concat(t)
