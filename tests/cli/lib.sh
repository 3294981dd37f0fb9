# SPDX-License-Identifier: MIT
# What the tests of the command share: a temporary folder as the current one and as home, runs of the command with what
# they said, and one that stays in the background. $1 is the command, $2 the source tree.
set -eu
weir=$1
tree=$2
scratch=$(mktemp -d)
server=
clean_up() {
    [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || :
    rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM
cd "$scratch"
HOME=$scratch/home
mkdir "$HOME"
unset XDG_CONFIG_HOME NO_COLOR || :
export HOME

fail() {
    printf 'FAILED: %s\n' "$*"
    for said in out err server.out server.err; do [ ! -f "$said" ] || sed "s/^/$said: /" "$said"; done
    exit 1
}

# expect STATUS ARGUMENT...: `weir ARGUMENT...` ends with that status; what it says is in `out` and `err`.
expect() {
    wanted=$1
    shift
    status=0
    "$weir" "$@" >out 2>err </dev/null || status=$?
    [ "$status" = "$wanted" ] || fail "weir $*: ended with $status, not $wanted"
}

# prints TEXT and complains TEXT: one line of standard output, or of standard error, has it.
prints() {
    grep -qF -- "$1" out || fail "it did not print: $1"
}
complains() {
    grep -qF -- "$1" err || fail "it did not complain: $1"
}

# start ARGUMENT...: in the background, until its first line "listening ..."; sets server and invitation.
start() {
    [ -p server.pipe ] || mkfifo server.pipe
    "$weir" "$@" >server.pipe 2>server.err </dev/null &
    server=$!
    exec 3<server.pipe
    : >server.out
    until_server 'listening '
    invitation=${line#listening }
}

# until_server START: reads what the server prints up to a line that begins so, which is then in `line`.
until_server() {
    while IFS= read -r line <&3; do
        printf '%s\n' "$line" >>server.out
        case $line in "$1"*) return ;; esac
    done
    fail "the server ended before it printed: $1"
}

# stop SIGNAL STATUS: the server ends with that status; the rest of what it printed is in server.out.
stop() {
    kill "-$1" "$server"
    ended "$2"
}

# ended STATUS: it ends by itself.
ended() {
    cat <&3 >>server.out
    exec 3<&-
    status=0
    wait "$server" 2>wait.said || status=$?
    server=
    [ "$status" = "$1" ] || fail "the server ended with $status, not $1"
}
