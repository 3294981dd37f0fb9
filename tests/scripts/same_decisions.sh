# SPDX-License-Identifier: MIT
# The same decisions over sockets, in packets and in memory: what three processes print is, line by line, what three
# nodes of a world print (same_decisions_test.lua compares the two kinds of worlds).
. "$(dirname "$0")/lib.sh"
script=$tree/tests/scripts/decide.lua
"$weir" test --seeds 1 "$tree/tests/scripts/same_decisions_test.lua" >world.said || { said_so; fail "worlds differ"; }
sed -n 's/^# \([abc]: .*\)/\1/p' world.said >world
begin c run "$script" --listen 127.0.0.1:0 -- c
listening c
at_c=$invitation
said c ready
begin b run "$script" --listen 127.0.0.1:0 -- b "$at_c"
listening b
at_b=$invitation
said b ready
begin a run "$script" --listen 127.0.0.1:0 -- a "$at_b" "$at_c"
said a over
for name in a b c; do
    tell $name TERM
    over $name 0
done
for name in a b c; do
    grep -v -e '^listening ' -e '^info: ' $name.said | sed "s/^/$name: /"
done >sockets
diff world sockets || fail "sockets decide otherwise"
[ "$(wc -l <sockets)" -gt 60 ] || fail "only $(wc -l <sockets) lines"
