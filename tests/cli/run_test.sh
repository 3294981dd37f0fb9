# SPDX-License-Identifier: MIT
# weir run: two processes talk; a signal lets the script stop; a changed file is taken over; mistakes are told with their
# place.
. "$(dirname "$0")/lib.sh"
cp "$tree/tests/cli/greet.lua" greet.lua

start run greet.lua --listen 127.0.0.1:0 --verbose
case $invitation in weir:12D3KooW*@127.0.0.1:*) ;; *) fail "'$invitation' is no invitation" ;; esac
expect 0 run greet.lua -- "$invitation" Ada
[ "$(grep -v '^stopped' out)" = 'Hello, Ada!' ] || fail "it printed otherwise"
until_server asked

# Live reload: the connections of those who ask are theirs, the next answer is the new one.
sed 's/"Hello, "/"Good day, "/' greet.lua >changed.lua
mv changed.lua greet.lua
tries=0
until grep -q 'reloaded greet.lua' server.err; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || fail "it was not loaded anew"
    "$weir" run greet.lua -- "$invitation" Bob >out 2>err || fail "it does not answer"
done
expect 0 run greet.lua -- "$invitation" Bob
prints 'Good day, Bob!'
echo 'this is no Lua' >broken.lua
mv broken.lua greet.lua
tries=0
until grep -q 'goes on as it was' server.err; do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || fail "a broken file was not told"
    "$weir" ping "$invitation" >out 2>err || fail "a broken file ended it"
done
stop TERM 0
grep -q '^stopped$' server.out || fail "stop did not run"
grep -q draining server.err || fail "it does not say that it drains"
cp "$tree/tests/cli/greet.lua" greet.lua

# What is said just before quit arrives.
cat >last.lua <<'END'
local P = protocol "last/1" { serve = 1, word = message { bytes = 64, full = "drop-old" } }
function P:word(from, text) print(text) quit(0) end
function P:start(address)
    if not address then return end
    tell(connect(address), P.word, "the last word")
    quit(0)
end
return P
END
start run last.lua --listen 127.0.0.1:0
expect 0 run last.lua -- "$invitation"
until_server 'the last word'
ended 0

# A second signal ends what the first one lets finish.
cat >hold.lua <<'END'
local P = protocol "hold/1" { serve = 1, pipe = stream { idle = 60*sec } }
function P:pipe(from, s) print("held") s:wait() end
function P:start(address)
    if not address then return end
    local s = open(connect(address), P.pipe)
    s:write("x")
    s:wait()
    quit(0)
end
return P
END
mkfifo said
"$weir" run hold.lua --listen 127.0.0.1:0 >said 2>&1 </dev/null &
server=$!
exec 3<said
until_server 'listening '
"$weir" run hold.lua -- "${line#listening }" >out 2>err </dev/null &
holder=$!
until_server held
kill -TERM "$server"
until_server 'info: draining'
stop TERM 143
wait "$holder" || fail "who held the stream ended badly"

# Standard input: of a pipe, of a file, and of a pipe into which nobody writes, which holds nobody.
cat >lines.lua <<'END'
local P = protocol "lines/1" {}
function P:start()
    local s = assert(input())
    for line in s:lines() do print("said " .. line) end
    print("over")
    quit(0)
end
return P
END
printf 'x\ny\n' | "$weir" run lines.lua --allow input >out 2>err || fail "it ended badly"
[ "$(cat out)" = "$(printf 'said x\nsaid y\nover')" ] || fail "it did not read the pipe"
"$weir" run lines.lua --allow input <lines.lua >out 2>err || fail "it ended badly"
prints 'said end'
prints over
cat >waits.lua <<'END'
local P = protocol "waits/1" {}
function P:start()
    after(10*ms, function() print("goes") quit(0) end)
    print(assert(input()):read())
end
return P
END
mkfifo silent
exec 4<>silent
"$weir" run waits.lua --allow input <silent >out 2>err || fail "it ended badly"
exec 4>&-
prints goes

# Its words for what cannot be.
expect 4 run greet.lua -- nowhere Ada
prints 'no connection'
expect 1 run nowhere.lua
complains nowhere.lua
printf 'local P = protocol "x/1" { serve = 1, a = request { bytes = 1, within = 1*sec } }\nreturn P\n' >careless.lua
expect 1 run careless.lua
[ ! -s out ] || fail "something was printed before the mistake"
grep -q '^careless.lua:1: .*answer' err || fail "the mistake has no place: $(cat err)"
printf 'prnt("x")\n' >misspelt.lua
expect 1 run misspelt.lua
grep -q "^misspelt.lua:1: .*print" err || fail "the nearest name is missing: $(cat err)"
expect 2 run greet.lua --listen 'not an address'
expect 2 run greet.lua --allow everything
complains "there is no 'everything'"
expect 1 run greet.lua --allow fs=nowhere
expect 2 run greet.lua --allow fs
complains 'which folder is missing'
expect 1 run greet
complains "did you mean 'greet.lua'?"
expect 1 run nothing-of-this-name
complains 'no script of this name comes with weir'
expect 2 run greet.lua --key a --identity

# No network: it runs and is done.
printf 'print("one")\nlog.warn("two")\nlog.debug("three")\n' >plain.lua
expect 0 run plain.lua
[ "$(cat out)" = one ] && [ "$(cat err)" = 'warning: two' ] || fail "a plain script differs"
expect 0 run plain.lua --quiet
[ ! -s err ] || fail "--quiet is not quiet"
expect 0 run plain.lua --verbose
complains 'debug: three'

# A key of one's own is the same peer in each run.
expect 0 id --key mine
peer=$(cat out)
start run greet.lua --key mine --listen 127.0.0.1:0 --listen 127.0.0.1:0
case $invitation in "weir:$peer@"*) ;; *) fail "--key is not used" ;; esac
where=${invitation#*@}
expect 1 run greet.lua --listen "$where"
complains "cannot listen on $where"
stop INT 0
