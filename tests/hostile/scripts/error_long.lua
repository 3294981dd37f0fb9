-- Tries to make the error's text long, and to put control bytes into the log.
-- expect: error
error(("\27[2J\0\r\n"):rep(100000))
