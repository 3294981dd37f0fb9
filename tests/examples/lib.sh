# SPDX-License-Identifier: MIT
# What the tests of examples share: a temporary folder as the current one, and a server that is started, told from its
# own words to be ready, and stopped. $1 is the program.
set -eu
program=$1
scratch=$(mktemp -d)
server=
clean_up() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || :
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch"
mkfifo server.said

fail() {
    printf 'FAILED: %s\n' "$*"
    for said in said server.log; do [ ! -f "$said" ] || sed "s/^/$said: /" "$said"; done
    exit 1
}

# start ARGUMENT...: `program serve ARGUMENT...`; sets server and invitation. What it says later stays in the pipe.
start() {
    "$program" serve "$@" >server.said 2>&1 &
    server=$!
    exec 3<server.said
    : >server.log
    invitation=
    while [ -z "$invitation" ] && IFS= read -r line <&3; do
        printf '%s\n' "$line" >>server.log
        case $line in "invitation "*) invitation=${line#invitation } ;; esac
    done
    [ -n "$invitation" ] || fail "the server ended before it could be dialled"
}

# stop SIGNAL STATUS: the server ends with that status; what it said is in server.log.
stop() {
    kill "-$1" "$server"
    cat <&3 >>server.log
    exec 3<&-
    status=0
    wait "$server" 2>wait.said || status=$?
    server=
    [ "$status" = "$2" ] || fail "the server ended with $status, not $2"
}

# expect STATUS ARGUMENT...: `program ARGUMENT...` ends with that status; what it says is in `said`.
expect() {
    wanted=$1
    shift
    status=0
    "$program" "$@" >said 2>&1 || status=$?
    [ "$status" = "$wanted" ] || fail "'$*' ended with $status, not $wanted"
}

# says TEXT: it said that.
says() {
    grep -qF -- "$1" said || fail "it did not say: $1"
}
