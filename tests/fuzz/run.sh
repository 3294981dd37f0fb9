# SPDX-License-Identifier: MIT
# One fuzz target for a while: sh tests/fuzz/run.sh PROGRAMS TARGET [SECONDS [FOUND]]
#
# PROGRAMS is the folder with fuzz_TARGET; SECONDS by default an equal part of WEIR_FUZZ_SECONDS (180); FOUND a folder
# that keeps new inputs, by default none. An input that takes over a second, allocates over 64 MiB at once or holds
# over 2 GiB is a failure like a crash.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
programs=$1 target=$2
if [ -n "${3:-}" ]; then
    seconds=$3
else
    # shellcheck disable=SC2012
    seconds=$((${WEIR_FUZZ_SECONDS:-180} / $(ls "$here"/fuzz_*.c | wc -l)))
    [ "$seconds" -gt 0 ] || seconds=1
fi
scratch=
if [ -n "${4:-}" ]; then
    found=$4/$target
else
    scratch=$(mktemp -d)
    found=$scratch
fi
trap '[ -z "$scratch" ] || rm -rf "$scratch"' EXIT
broken=$programs/broken
mkdir -p "$found" "$broken"
seeds=
[ ! -d "$here/corpus/$target" ] || seeds=$here/corpus/$target
dictionary=
[ ! -e "$here/$target.dict" ] || dictionary=-dict=$here/$target.dict
# shellcheck disable=SC2086
"$programs/fuzz_$target" -max_total_time="$seconds" -timeout=1 -malloc_limit_mb=64 -rss_limit_mb=2048 \
    -print_final_stats=1 -artifact_prefix="$broken/$target-" $dictionary "$found" $seeds || {
    echo "the input that broke $target is in $broken; again with: $programs/fuzz_$target FILE"
    echo "once mended, it belongs to tests/fuzz/corpus/$target, where every build replays it"
    exit 1
}
