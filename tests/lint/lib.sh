# SPDX-License-Identifier: MIT
# What the lints share. A lint is `sh tests/lint/NAME.sh [ROOT [BUILD]]`: it reads the tree at ROOT (default: the one
# it stands in) and the libraries in BUILD (default: ROOT/build), prints one line per violation, and fails if any.
# They need a POSIX shell, awk and binutils, nothing else; selftest.sh shows each of them a violation.
set -eu
LC_ALL=C
export LC_ALL
lint_dir=$(cd "$(dirname "$0")" && pwd)
root=$(cd "${1:-$lint_dir/../..}" && pwd)
build=$(cd "${2:-$root/build}" 2>/dev/null && pwd) || build=
cd "$root"
engine='base crypto identity address observe limits transport quic libp2p loop node'

# find_files NAME_PATTERNS -- DIR...: files under the folders that exist, without build trees and generated tables.
find_files() {
    names=
    while [ "$1" != -- ]; do
        names="$names${names:+ -o} -name '$1'"
        shift
    done
    shift
    for dir in "$@"; do
        [ ! -e "$dir" ] || eval "find \"\$dir\" \( -name .git -o -path ./build -o -name generated -o -name corpus \
            -o -name node_modules \) -prune -o -type f \( $names \) -print"
    done | sort
}

# lint_awk PROGRAM < LIST: run strip.awk and the program over the listed files; fails if it reported anything.
lint_awk() {
    list=$(cat)
    [ -n "$list" ] || return 0
    # shellcheck disable=SC2086
    awk -f "$lint_dir/strip.awk" -f "$lint_dir/$1" $list
}

# need_library: stop unless the build tree has the library.
need_library() {
    [ -n "$build" ] && [ -e "$build/libweir.so" ] || {
        echo "no libweir.so in ${build:-$root/build}: build first (cmake --preset release, cmake --build --preset release)"
        exit 1
    }
}
