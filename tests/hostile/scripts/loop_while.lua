-- Tries to run forever.
-- expect: instructions
while true do
end
