-- Tries to have the collector work without end by asking for too much again and again.
-- expect: memory instructions
while true do
    pcall(string.rep, "x", 1 << 24)
end
