# SPDX-License-Identifier: MIT
# fetch: a file that changes on the way is begun anew; a server that dies and comes back, with the same key and port,
# costs the ranges that were under way and no more; a server that stays away costs an error. The client is stopped in
# the meantime, so nothing depends on who is faster.
. "$(dirname "$0")/lib.sh"
mkdir given
size=134217728
dd if=/dev/zero of=given/file bs=1 count=0 seek="$size" 2>/dev/null
start given --listen 127.0.0.1:0 --key server.key
port=${invitation##*:}
port=${port%%/*}
mkfifo progress

# begin: a client that has its first range and is stopped.
begin() {
    "$program" get --parallel 2 -o got "$invitation" file >said 2>progress &
    client=$!
    exec 4<progress
    IFS= read -r line <&4 || fail "the client said nothing"
    kill -STOP "$client"
}

# end STATUS: it goes on, and ends with that.
end() {
    kill -CONT "$client"
    cat <&4 >>said
    exec 4<&-
    status=0
    wait "$client" || status=$?
    [ "$status" = "$1" ] || fail "the client ended with $status, not $1"
}

begin
printf 'changed' | dd of=given/file bs=1 seek=100 conv=notrunc 2>/dev/null
end 0
says 'the file was changed on the server: beginning anew'
cmp got given/file || fail "the changed file differs"
rm got

begin
stop KILL 137
start given --listen "127.0.0.1:$port" --key server.key
end 0
says 'dialling once more'
cmp got given/file || fail "the file differs"
rm got

# This time the server says good-bye and does not come back.
begin
kill -TERM "$server"
end 1
server=
[ ! -e got ] && [ -f got.part ] && [ -f got.part.map ] || fail "what came is not kept"
