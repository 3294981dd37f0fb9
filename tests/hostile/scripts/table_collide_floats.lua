-- Tries floats that collide: those of the same fraction and neighbouring exponents do not.
-- expect: instructions memory ok
local t, n = {}, 0
for i = 1, 60000 do
    t[i * 32767.5] = true
    t[2.0 ^ (i % 1000) * 1.5] = true
end
