# SPDX-License-Identifier: MIT
# echo/1: one process answers, another asks ten times.
. "$(dirname "$0")/lib.sh"
begin server run "$protocols/echo.lua" --listen 127.0.0.1:0
listening server
begin asker run "$protocols/echo.lua" -- "$invitation" 'good day'
over asker 0
[ "$(grep -c '^good day [0-9]*	[0-9]* ms$' asker.said)" = 10 ] || { said_so; fail "not ten answers"; }
begin other run "$protocols/echo.lua" -- "$invitation"
over other 0
grep -q '^hello 10	' other.said || fail "no last answer"
tell server TERM
over server 0
