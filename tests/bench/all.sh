#!/bin/sh
# SPDX-License-Identifier: MIT
# Every benchmark in order, and one table of what is judged:
#
#   sh tests/bench/all.sh            about ten minutes; nothing else may use the cores
#   sh tests/bench/all.sh --json     every figure as a line of JSON, no table
#   sh tests/bench/all.sh --quick    one tiny round of each: shows that they run
#
# The programs are in build/tests/bench, or where WEIR_BENCH_DIR says. What they tell beside figures goes to stderr.
set -eu
cd "$(dirname "$0")/../.."
dir=${WEIR_BENCH_DIR:-build/tests/bench}
json=
quick=
for word in "$@"; do
    case $word in
    --json) json=yes ;;
    --quick) quick=--quick ;;
    *)
        sed -n 's/^# \{0,1\}//; 3,8p' tests/bench/all.sh
        [ "$word" = --help ]
        exit
        ;;
    esac
done
[ -x "$dir/limit" ] || {
    echo "$dir/limit is missing: cmake --preset release && cmake --build --preset release" >&2
    exit 1
}

# run PROGRAM ARGUMENTS...: its lines of JSON; one that fails is said and leaves the others their turn.
run() {
    program=$1
    shift
    "$dir/$program" --json $quick "$@" || echo "$program $* failed" >&2
}

all() {
    run limit
    run bulk --one
    ! grep -qw aes /proc/cpuinfo || run bulk --one --suite chacha20
    run bulk --parallel
    run handshakes
    run requests
    run idle
    [ -n "$quick" ] || run idle --peers 20000
    run urgent
    run fetch
    run feeds
    [ ! -f "$dir/lua" ] || run lua
    [ ! -f "$dir/peers" ] || run peers
}

if [ -n "$json" ]; then
    all
    exit
fi
all | awk '
function field(name, part) {
    if (!match($0, "\"" name "\":(\"[^\"]*\"|[^,}]*)")) return ""
    part = substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3)
    gsub(/"/, "", part)
    return part
}
BEGIN { printf "%-48s %18s %8s %8s %8s  %s\n", "figure", "value", "ratio", "must", "aim", "verdict" }
{
    must = field("must") + 0
    if (must == 0) next
    lower = field("better") == "lower"
    ratio = field("against") != ""
    judged = (ratio ? field("ratio") : field("value")) + 0
    aim = field("aim") + 0
    verdict = (lower ? judged <= aim : judged >= aim) ? "aim" : \
        (lower ? judged <= must : judged >= must) ? "must" : "SHORT"
    printf "%-48s %11.3f %-6s %8s %8g %8g  %s\n", field("figure"), field("value"), field("unit"), \
        ratio ? sprintf("%.3f", judged) : "-", must, aim, verdict
    fflush()
}'
