-- Tries to have metamethods looked up in a metatable full of collisions.
-- expect: instructions
local meta, step = { __index = print, __name = "x" }, (1 << 11) - 1
for i = 1, 1025 do
    meta[-i * 4] = true
end
for i = 1, 900 do
    meta[i * step] = i
end
local function none() end
meta.__call, meta.__close, meta.__lt, meta.__add = none, none, none, none
meta.__concat, meta.__tostring, meta.__unm, meta.__le = none, none, none, none
local t = setmetatable({}, meta)
while true do
    t()
    local a = t < t, t + t, t .. t, -t, t <= t
    pcall(tostring, t)
    pcall(pairs, t)
    pcall(table.sort, { t, t })
    local guard <close> = t
    getmetatable(t)
    setmetatable(t, meta)
end
