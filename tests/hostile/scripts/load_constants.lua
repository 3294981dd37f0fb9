-- Tries to make the compiler's tables large: a function of thousands of constants, again and again.
-- expect: instructions memory
while true do
    local parts = {}
    for i = 1, 5000 do
        parts[i] = i * 7919 % 100000
    end
    load("return {" .. table.concat(parts, ",") .. "}")
end
