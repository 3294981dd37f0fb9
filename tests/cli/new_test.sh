# SPDX-License-Identifier: MIT
# weir new: a script that loads, with a test that passes; nothing is overwritten.
. "$(dirname "$0")/lib.sh"
expect 0 new hello
prints 'wrote hello.lua'
prints 'wrote hello_test.lua'
expect 0 test hello_test.lua
prints 'ok 1'
prints 'ok 2'
expect 0 sim hello.lua --nodes 3 --time 2s
prints 'Hello, stranger!'
cp hello.lua before
expect 1 new hello
complains 'hello.lua is there already'
cmp hello.lua before || fail "it was overwritten"
rm hello.lua
expect 1 new hello
[ ! -e hello.lua ] || fail "half was written"
expect 2 new ../hello
expect 2 new
start run before --listen 127.0.0.1:0
expect 0 run before -- "$invitation" Ada
prints 'Hello, Ada! You are number 1.'
stop TERM 0
