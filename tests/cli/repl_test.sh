# SPDX-License-Identifier: MIT
# weir repl: lines in, results out; what a line sets stays; errors do not end it; lines may wait for peers.
. "$(dirname "$0")/lib.sh"
cp "$tree/tests/cli/greet.lua" greet.lua

# converse STATUS ARGUMENT...: `weir repl ARGUMENT...` with the file `in` as its input.
converse() {
    wanted=$1
    shift
    status=0
    "$weir" repl "$@" <in >out 2>err || status=$?
    [ "$status" = "$wanted" ] || fail "weir repl $*: ended with $status, not $wanted"
}
cat >in <<'END'
1 + 2
it * 10
x = 7
x, "text", { 1, 2, a = { b = true } }
for i = 1, 2 do
    print(i)
end
me():short() == me():short()
1 +
2
END
converse 0
[ "$(cat out)" = '3
30
7	text	{ 1, 2, a = { b = true } }
1
2
true
3' ] || fail "it prints otherwise"

cat >in <<'END'
error("on purpose")
1 +* 2
no_such_name
help
print("still here")
while true do end
print("and here")
END
converse 0
prints 'still here'
prints 'and here'
complains 'on purpose'
complains "there is no 'no_such_name'"
complains "there is no 'help' here: docs/lua.md"

printf 'quit(5)\nprint("never")\n' >in
converse 5
[ ! -s out ] || fail "it went on behind quit"

start run greet.lua --listen 127.0.0.1:0
cat >in <<END
peer = connect("$invitation")
peer:is_up()
ask(peer, greet.hello, "Ada")
END
converse 0 --use greet.lua
[ "$(cat out)" = 'true
Hello, Ada!' ] || fail "it does not talk"
stop TERM 0
: >in
converse 0 --listen 127.0.0.1:0
prints 'listening weir:'
mkdir sub
sed 's/test-greet/other-greet/' greet.lua >sub/an-other.lua
echo 'an_other.hello' >in
converse 0 --use sub/an-other.lua --use greet
[ -s out ] || fail "a module in a folder has no entries"
converse 1 --use no/such/script
converse 2 --use 1
converse 2 --listen 192.0.2.1:1
