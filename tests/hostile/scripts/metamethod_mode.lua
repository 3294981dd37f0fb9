-- Tries to see the collector at work through a weak table.
-- expect: error
setmetatable({}, { __mode = "k" })
