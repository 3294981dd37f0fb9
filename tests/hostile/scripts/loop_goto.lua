-- Tries to run forever without a loop statement.
-- expect: instructions
::again::
goto again
