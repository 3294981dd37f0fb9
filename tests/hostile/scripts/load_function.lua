-- Tries to feed load by a function, piece by piece without end.
-- expect: error
load(function()
    return "x = 1 "
end)
