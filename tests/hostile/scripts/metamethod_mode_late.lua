-- Tries to make a table weak after its metatable was looked at.
-- expect: ok
local meta = {}
local keys, values = setmetatable({}, meta), setmetatable({}, meta)
meta.__mode = "kv"
rawset(meta, "__mode", "kv")
for i = 1, 10 do
    values[i] = {}
    keys[{}] = true
end
for i = 1, 1000 do
    local garbage = { {}, {}, {}, ("x"):rep(500) .. i }
end
for i = 1, 10 do
    assert(values[i])
end
