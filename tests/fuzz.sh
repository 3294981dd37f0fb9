#!/bin/sh
# SPDX-License-Identifier: MIT
# Fuzzing for long: sh tests/fuzz.sh [MINUTES [TARGET...]]
#
# MINUTES (10) is for each target; a target is the name of a file tests/fuzz/fuzz_TARGET.c, all when none is named.
# Inputs that reach new code are kept in build/fuzz/found/TARGET and used again the next time. Stops at the first
# input that breaks a target, and says where it lies and how to run it again.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh
minutes=${1:-10}
case $minutes in
'' | *[!0-9]*) say "fuzz: minutes is a whole number, not '$minutes'" >&2; exit 1 ;;
esac
[ $# = 0 ] || shift
if [ $# = 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        name=${source##*/fuzz_}
        set -- "$@" "${name%.c}"
    done
fi
setup build tests
build_tree fuzz
for target in "$@"; do
    [ -e "tests/fuzz/fuzz_$target.c" ] || { say "fuzz: there is no tests/fuzz/fuzz_$target.c" >&2; exit 1; }
    say "fuzzing $target for $minutes minutes"
    sh tests/fuzz/run.sh build/fuzz/tests/fuzz "$target" $((minutes * 60)) build/fuzz/found
done
say "fuzzing is done; nothing broke. New inputs are in build/fuzz/found; the small ones among them may join tests/fuzz/corpus"
