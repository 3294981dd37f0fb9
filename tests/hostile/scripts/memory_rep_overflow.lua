-- Tries to overflow a size.
-- expect: error
return ("xx"):rep(math.maxinteger)
