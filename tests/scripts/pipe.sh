# SPDX-License-Identifier: MIT
# pipe/1: the output of a child becomes a file at another process; a name that is there is refused, and the exit code of
# the child is that of the command.
. "$(dirname "$0")/lib.sh"
mkdir taken
begin server run "$protocols/pipe.lua" --listen 127.0.0.1:0 --allow fs=taken
listening server
seq 200000 >wanted
begin client run "$protocols/pipe.lua" --allow exec -- "$invitation" numbers seq 200000
over client 0
grep -q "^ok: $(wc -c <wanted)$" client.said || { said_so; fail "it does not say how much"; }
cmp wanted taken/numbers || fail "the file differs"
said server "numbers	$(wc -c <wanted)"
begin again run "$protocols/pipe.lua" --allow exec -- "$invitation" numbers echo no
over again 1
grep -q '^no: ' again.said || fail "a name that is there is not refused"
cmp wanted taken/numbers || fail "the file was touched"
begin code run "$protocols/pipe.lua" --allow exec -- "$invitation" nothing sh -c 'exit 7'
over code 7
begin denied run "$protocols/pipe.lua" -- "$invitation" denied echo no
over denied 1
tell server TERM
over server 0
