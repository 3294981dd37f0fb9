#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a guide as printed: guide.sh GUIDE.md WEIR
#
# A block ```lua file=NAME becomes a file. A block ```sh terminal=N [exit=C] [stop] is run, `weir` being the command that
# was built; one that does not end by itself (it listens) goes on beside the others, `stop` ends it after its output came.
# The block ```text terminal=N that follows must be the beginning of what that terminal shows: line by line, `...` inside a
# line stands for anything, a line of only `...` for any lines from here.
set -eu
guide=$1
weir=$2
folder=$(mktemp -d)
pids=
finish() {
    for pid in $pids; do kill -s TERM -- "-$pid" 2>/dev/null || :; done
    wait 2>/dev/null || :
    rm -rf "$folder"
}
trap finish EXIT
# Ports in the guides are fixed: a network of one's own keeps them free, where the system lets us make one.
if [ -z "${WEIR_GUIDE_INSIDE:-}" ] && unshare -n true 2>/dev/null; then
    WEIR_GUIDE_INSIDE=yes exec unshare -n sh -c 'ip link set lo up && exec sh "$@"' guide "$0" "$guide" "$weir"
fi
mkdir "$folder/bin" "$folder/work"
ln -s "$weir" "$folder/bin/weir"
PATH=$folder/bin:$PATH
export PATH
HOME=$folder XDG_CONFIG_HOME=$folder/config
export HOME XDG_CONFIG_HOME

# Cut the guide into numbered blocks: N.head has the words behind the fence, N.body the lines.
awk -v out="$folder/block" '
    !inside && /^```[a-z]+ / { inside = 1; n++; head = $0; sub(/^```/, "", head)
        printf "%s\n", head >(out "." sprintf("%03d", n) ".head"); body = out "." sprintf("%03d", n) ".body"
        printf "" >body; next }
    inside && /^```$/ { inside = 0; close(body); next }
    inside { print >body }
' "$guide"

# word NAME HEAD: the value of NAME=value in a head, or "yes" for a bare NAME.
word() {
    for part in $2; do
        case $part in
        "$1"=*) printf '%s' "${part#*=}"; return ;;
        "$1") printf yes; return ;;
        esac
    done
}

# matches EXPECTED GOT: whether the lines that came so far begin as expected.
matches() {
    awk -v expected="$1" '
        BEGIN { while ((getline line <expected) > 0) want[++n] = line }
        function fits(pattern, text,    part, k, i, at) {
            k = split(pattern, part, /\.\.\./)
            if (k == 1) return pattern == text
            if (index(text, part[1]) != 1) return 0
            text = substr(text, length(part[1]) + 1)
            for (i = 2; i <= k; i++) {
                if (part[i] == "") continue
                at = index(text, part[i])
                if (at == 0) return 0
                text = substr(text, at + length(part[i]))
            }
            return part[k] == "" || text == ""
        }
        { got[++m] = $0 }
        END {
            j = 1
            for (i = 1; i <= n; i++) {
                if (want[i] == "...") {
                    if (i == n) exit 0
                    while (j <= m && !fits(want[i + 1], got[j])) j++
                    continue
                }
                if (j > m || !fits(want[i], got[j++])) exit 1
            }
        }' "$2"
}

cd "$folder/work"
for head in "$folder"/block.*.head; do
    words=$(cat "$head")
    body=${head%.head}.body
    terminal=$(word terminal "$words")
    case $words in
    lua*) cp "$body" "$(word file "$words")" ;;
    sh*)
        # A session of its own, so that what it starts ends with it.
        setsid sh -c 'if sh "$1" >"$2" 2>&1; then code=0; else code=$?; fi; echo "$code" >"$3"' terminal \
            "$body" "$folder/shown.$terminal" "$folder/code.$terminal" &
        pids="$pids $!"
        wanted=$(word exit "$words")
        stop=$(word stop "$words")
        ;;
    text*)
        tries=0
        until matches "$body" "$folder/shown.$terminal" 2>/dev/null &&
            { grep -q -- --listen "$commands" 2>/dev/null || [ -e "$folder/code.$terminal" ]; }; do
            tries=$((tries + 1))
            if [ $tries -gt 1200 ] || { [ -e "$folder/code.$terminal" ] && ! matches "$body" "$folder/shown.$terminal"; }; then
                echo "$guide: terminal $terminal should show:" >&2
                cat "$body" >&2
                echo "but shows:" >&2
                cat "$folder/shown.$terminal" >&2
                exit 1
            fi
            sleep 0.1 # waiting for another process: what is asserted is what it shows, not when
        done
        if [ -e "$folder/code.$terminal" ]; then
            code=$(cat "$folder/code.$terminal")
            [ "$code" = "${wanted:-0}" ] || { echo "$guide: terminal $terminal ended with $code" >&2; exit 1; }
        fi
        [ -z "$stop" ] || kill -s TERM -- "-${pids##* }" 2>/dev/null || :
        ;;
    esac
    case $words in sh*) commands=$body ;; esac
done
echo "ok: $guide"
