-- Tries to fill memory by one call.
-- expect: error memory instructions
return ("x"):rep(1 << 40)
