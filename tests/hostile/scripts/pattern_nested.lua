-- Tries a pattern that nests deep.
-- expect: error
return ("x"):rep(100000):find(("(x"):rep(100))
