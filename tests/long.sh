#!/bin/sh
# SPDX-License-Identifier: MIT
# The survival list, whole: sh tests/long.sh [CASE...]
#
#   sh tests/long.sh                     every case but the soak, one line each; minutes
#   sh tests/long.sh --list              the names of the cases
#   sh tests/long.sh bursts replays      these
#   sh tests/long.sh soak [MINUTES [PEERS [CHURN]]]     over real sockets, an hour when nothing is said
#
# A line says how it went, how long it took in real time, what was tried, and the worst figure. The list goes on after
# a failure; the exit status is 1 if there was one. What a case said is in build/logs/long/CASE.log; WEIR_SEED=n repeats
# one seed of monte_carlo. WEIR_LONG_TREE=asan uses the tree with sanitizers, which takes several times as long.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh

# cases: lines "CASE SOURCE", in the order of the list.
cases() {
    for long_name in handshake transfer path wrong monte memory; do
        grep -o '{"[a-z0-9_]*", [a-z0-9_]*}' "tests/sim/survive_${long_name}_test.c" |
            sed "s/{\"\\([a-z0-9_]*\\)\".*/\\1 $long_name/"
    done
}

if [ "${1:-}" = --list ]; then
    cases | cut -d ' ' -f 1
    echo soak
    exit 0
fi

tree=${WEIR_LONG_TREE:-release}
case $tree in release) folder=build ;; *) folder=build/$tree ;; esac
logs=build/logs/long
mkdir -p "$logs"

# seconds: of real time.
seconds() {
    date +%s
}

if [ "${1:-}" = soak ]; then
    shift
    setup build tests
    build_tree "$tree" sim_soak
    { "$folder/tests/sim/sim_soak" "$@" && echo 0 >"$logs/soak.status" || echo 1 >"$logs/soak.status"; } 2>&1 |
        tee "$logs/soak.log"
    if [ "$(cat "$logs/soak.status")" != 0 ]; then
        echo 'soak: FAILED'
        exit 1
    fi
    echo 'soak: ok'
    exit 0
fi

chosen=
if [ $# = 0 ]; then
    chosen=$(cases)
else
    for wanted in "$@"; do
        found=$(cases | grep "^$wanted " || true)
        [ -n "$found" ] || { say "long: there is no case '$wanted'; sh tests/long.sh --list names them" >&2; exit 2; }
        chosen="$chosen$found
"
    done
fi
setup build tests
programs=$(printf '%s\n' "$chosen" | sed -n 's/.* \(.*\)/sim_survive_\1_test/p' | sort -u)
# shellcheck disable=SC2086
build_tree "$tree" $programs

failed=0
begun=$(seconds)
WEIR_LONG=1
export WEIR_LONG
printf '%s\n' "$chosen" | sed '/^$/d' >"$logs/chosen"
while read -r name source; do
    program=$folder/tests/sim/sim_survive_${source}_test
    log=$logs/$name.log
    before=$(seconds)
    verdict=ok
    "$program" "$name" >"$log" 2>&1 || verdict=FAILED
    [ "$verdict" != FAILED ] || failed=$((failed + 1))
    said=$(sed -n "s/^survive $name: //p" "$log" | tail -n 1)
    [ -n "$said" ] || said=$(sed -n 's/.*ERROR: //p' "$log" | head -n 1)
    printf '%-20s %-6s %4s s  %s\n' "$name" "$verdict" "$(($(seconds) - before))" "$said"
    [ "$verdict" = FAILED ] || continue
    # The seeds and patterns that failed, so that they can be repeated.
    grep -v -e '^\[' -e '^survive ' -e '^$' -e '^ [0-9]* FAILED' "$log" | head -n 6 | sed 's/^/    /'
    echo "    everything is in $log"
done <"$logs/chosen"
say "long: $failed failed, $(($(seconds) - begun)) s; the soak is by name: sh tests/long.sh soak"
[ "$failed" = 0 ]
