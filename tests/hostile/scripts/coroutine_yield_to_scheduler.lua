-- Tries to hand the scheduler something that it does not expect.
-- expect: error
coroutine.yield("not yours")
