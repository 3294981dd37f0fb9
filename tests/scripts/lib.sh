# SPDX-License-Identifier: MIT
# Several processes of the command at once, each with a name: what it prints and logs is waited for line by line. Their
# folder is a temporary one. $1 is the command, $2 the source tree.
. "$(dirname "$0")/../cli/lib.sh"
protocols=$tree/lua/protocols
games=$tree/lua/games
started=0
stop_all() {
    for pid in $pids; do kill -KILL "$pid" 2>/dev/null || :; done
    clean_up
}
pids=
trap stop_all EXIT
trap 'exit 1' HUP INT TERM

# begin NAME ARGUMENT...: in the background; its input is the file `input` names, or nothing.
begin() {
    name=$1
    shift
    started=$((started + 1))
    [ $started -le 7 ] || fail "more processes than descriptors"
    mkfifo "$name.pipe"
    "$weir" "$@" >"$name.pipe" 2>&1 <"${input:-/dev/null}" &
    pids="$pids $!"
    eval "pid_$name=$! fd_$name=$((started + 2)); exec $((started + 2))<$name.pipe"
    : >"$name.said"
}

# said NAME PATTERN: waits for a line of it that this pattern of the shell matches, which is then in `line`.
said() {
    eval "fd=\$fd_$1"
    while IFS= read -r line <&"$fd"; do
        printf '%s\n' "$line" >>"$1.said"
        case $line in $2) return ;; esac
    done
    said_so
    fail "$1 ended before it said: $2"
}

said_so() {
    for log in *.said; do sed "s/^/$log: /" "$log"; done
}

# listening NAME: its invitation is then in `invitation`.
listening() {
    said "$1" 'listening *'
    invitation=${line#listening }
}

# over NAME STATUS: it ends by itself with that status; all that it said is in NAME.said.
over() {
    eval "pid=\$pid_$1 fd=\$fd_$1"
    cat <&"$fd" >>"$1.said"
    status=0
    wait "$pid" 2>wait.said || status=$?
    [ "$status" = "$2" ] && return
    said_so
    fail "$1 ended with $status, not $2"
}

# tell NAME SIGNAL
tell() {
    eval "kill -$2 \$pid_$1"
}
