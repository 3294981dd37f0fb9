# SPDX-License-Identifier: MIT
# echo: what is said comes back, a text of many packets too; a server under another key is not talked to.
. "$(dirname "$0")/lib.sh"
start 127.0.0.1:0

expect 0 dial "$invitation" hello there
[ "$(sed 1d said)" = 'hello there' ] || fail "the echo of two words differs"
[ "$(sed -n '1s/ .*//p' said)" = peer ] || fail "the first line does not name the peer"

awk 'BEGIN { for (i = 0; i < 10000; i++) printf "%d.", i }' >text
expect 0 dial "$invitation" "$(cat text)"
printf '\n' >>text
sed 1d said | cmp - text || fail "the echo of a long text differs"

own=${invitation#weir:}
where=${own#*@}
own=${own%%@*}
expect 0 dial "$invitation" x
other=$(sed -n '1s/peer //p' said)
expect 1 dial "weir:$other@$where" x
says identity

expect 1 dial nonsense x
expect 2 dial "$invitation"
kill -0 "$server" || fail "the server is gone"
stop TERM 143
