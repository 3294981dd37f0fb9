# SPDX-License-Identifier: MIT
# weir sim: equal seeds give equal hashes, others do not; what is printed and what fails is told.
. "$(dirname "$0")/lib.sh"
cp "$tree/tests/cli/greet.lua" greet.lua

# hash ARGUMENT...: of a run.
hash() {
    expect 0 sim "$@"
    hash=$(sed -n 's/^trace hash *//p' out)
    [ -n "$hash" ] || fail "no trace hash"
}
hash greet.lua --nodes 5 --time 5s --seed 7 -- Ada
first=$hash
prints 'Hello, Ada!'
prints 'node 3'
prints '5, seed 7'
hash greet.lua --nodes 5 --time 5s --seed 7 -- Ada
[ "$hash" = "$first" ] || fail "the same seed gives another trace"
hash greet.lua --nodes 5 --time 5s --seed 8 -- Ada
[ "$hash" != "$first" ] || fail "another seed gives the same trace"
hash greet.lua --nodes 5 --time 20s --seed 7 --packets --loss 5% --lines 2 -- Ada
[ "$hash" != "$first" ] || fail "packets give the trace of messages"
[ "$(grep -c 'Hello, Ada!\|asked' out)" = 2 ] || fail "--lines 2 shows others"
prints 'more lines'

expect 0 sim greet.lua --nodes 3 --time 5s --json -- Ada
prints '"nodes":3'
prints '"errors":0'
prints '"hash":"'
[ "$(wc -l <out)" = 1 ] || fail "--json is not one line"

# Handlers that fail: counted, shown, exit code 1.
expect 1 sim greet.lua --nodes 3 --time 5s
prints 'error:'
expect 1 sim nowhere.lua
complains nowhere.lua
echo 'local P = protcol "x/1" {}' >wrong.lua
expect 1 sim wrong.lua
complains 'wrong.lua:1:'
printf 'local G = game "g/1" { serve = 1, v = view { cap = 2 } }\nfunction G:start(a, b)
    print(a, b)\nend\nreturn G\n' >order.lua
expect 0 sim order.lua --nodes 2 --time 1s --args-first -- first
grep -q 'node 1 *first.nil' out || fail "the first node's arguments differ"
grep -q 'node 2 *first./' out || fail "--args-first is not used"
expect 2 sim greet.lua --loss 2
complains 'is not a share'
