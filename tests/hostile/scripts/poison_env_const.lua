-- Tries a constant _ENV (CVE-2022-28805).
-- expect: error ok
local f = load("local _ENV <const> = nil; return x")
if f then f() end
