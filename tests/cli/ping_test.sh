# SPDX-License-Identifier: MIT
# weir ping: round trips to a node, and exit code 3 with what was tried when there is none.
. "$(dirname "$0")/lib.sh"
cp "$tree/tests/cli/greet.lua" greet.lua
start run greet.lua --listen 127.0.0.1:0
where=${invitation#*@}
peer=${invitation#weir:}
peer=${peer%@*}

expect 0 ping "$invitation" -n 3
prints "$peer"
prints handshake
[ "$(grep -c '^round trip' out)" = 3 ] || fail "not three round trips"
grep -q '^min .* median .* max ' out || fail "no summary"
expect 0 ping "$where" --count 2 --json
prints '"reachable":true'
prints '"round_trips_us":['

# Another peer's id: somebody answers, and is not who was asked for.
expect 0 id
expect 3 ping "weir:$(cat out)@$where" --timeout 5s
stop TERM 0
expect 3 ping "$invitation" --timeout 1s
complains 'cannot be reached'
expect 3 ping "$invitation" --timeout 1s --json
prints '"reachable":false'
expect 2 ping
expect 2 ping 'not an address'
expect 2 ping "$where" -n none
