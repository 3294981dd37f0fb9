-- Tries to keep the collector busy: much garbage, and nothing kept.
-- expect: instructions
while true do
    local t = { {}, {}, {} }
end
