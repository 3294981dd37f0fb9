-- Tries to get bytecode to change it.
-- expect: error
return string.dump(function() end)
