#!/bin/sh
# SPDX-License-Identifier: MIT
# What weir needs to be built and tested, installed if it is missing.
#
#   sh tests/setup.sh [build] [tests]      both when nothing is named
#
# On Debian and Ubuntu, as root or with sudo, apt-get installs what is not there; elsewhere the packages are named and
# the script stops. What is there is found by use (does this compile?), so a second run needs no network.
#
# Other scripts take the functions: cd to the root of the tree, then `. tests/setup.sh`, `setup build`,
# `build_tree release`.

set -eu

# say TEXT: one line per phase.
say() {
    printf 'weir: %s\n' "$*"
}

# compiles COMPILER FLAGS...: whether an empty program becomes an executable.
compiles() {
    setup_scratch=$(mktemp -d)
    setup_result=0
    case $1 in
    *fuzzer*) printf 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n)\n{\n    return d && n > 9;\n}\n' ;;
    *) printf 'int main(void)\n{\n    return 0;\n}\n' ;;
    esac >"$setup_scratch/empty.c"
    # shellcheck disable=SC2086
    $1 -x "$2" "$setup_scratch/empty.c" -o "$setup_scratch/empty" >/dev/null 2>&1 || setup_result=1
    rm -rf "$setup_scratch"
    return $setup_result
}

# have THING: whether it is there and works.
have() {
    case $1 in
    cc) compiles "${CC:-cc}" c ;;
    c++) compiles "${CXX:-c++}" c++ ;;
    cmake) cmake --version 2>/dev/null | awk '
        NR == 1 { split($3, v, "."); new = v[1] > 3 || (v[1] == 3 && v[2] >= 25) }
        END { exit !new }' ;;
    make) command -v ninja >/dev/null 2>&1 || command -v make >/dev/null 2>&1 ;;
    pkg-config) command -v pkg-config >/dev/null 2>&1 ;;
    libuv) pkg-config --exists 'libuv >= 1.44' 2>/dev/null ;;
    libsodium) pkg-config --exists 'libsodium >= 1.0.18' 2>/dev/null ;;
    liblua5.4) pkg-config --exists lua5.4 2>/dev/null ;;
    libcbor) pkg-config --exists libcbor 2>/dev/null ;;
    cmocka) pkg-config --exists cmocka 2>/dev/null ;;
    sanitizers) compiles "${CC:-cc} -fsanitize=address,undefined" c ;;
    clang) compiles clang c ;;
    fuzzer) compiles 'clang -fsanitize=fuzzer,address,undefined' c ;;
    *) say "setup: nothing is known of '$1'"; return 1 ;;
    esac
}

# package THING: Debian's packages for it.
package() {
    case $1 in
    cc | sanitizers) echo 'gcc libc6-dev' ;;
    c++) echo g++ ;;
    make) echo 'make ninja-build' ;; # make is what CMake looks for by itself, ninja is faster
    libuv) echo libuv1-dev ;;
    libsodium) echo libsodium-dev ;;
    liblua5.4) echo liblua5.4-dev ;;
    libcbor) echo libcbor-dev ;;
    cmocka) echo libcmocka-dev ;;
    fuzzer) echo 'clang libclang-rt-dev' ;;
    *) echo "$1" ;;
    esac
}

# missing THING...: those that are not there.
missing() {
    for setup_thing in "$@"; do
        have "$setup_thing" || printf ' %s' "$setup_thing"
    done
}

# know_localhost: tests look that name up, and only a bare chroot has no /etc/hosts to find it in.
know_localhost() {
    ! command -v getent >/dev/null 2>&1 || getent hosts localhost >/dev/null 2>&1 && return 0
    if [ ! -e /etc/hosts ] && [ -w /etc ]; then
        say "set-up: there is no /etc/hosts; making one that knows localhost"
        printf '127.0.0.1 localhost\n::1 localhost\n' >/etc/hosts
    else
        say "set-up: this machine does not know the name localhost, and tests that look it up will fail: add '127.0.0.1 localhost' to /etc/hosts" >&2
    fi
}

# setup SET...: sets are build (library, examples) and tests (unit tests, sanitizers, clang, fuzzers).
setup() {
    setup_things=
    for setup_set in "$@"; do
        case $setup_set in
        build) setup_things="$setup_things cc cmake make pkg-config libuv libsodium liblua5.4 libcbor" ;;
        tests) setup_things="$setup_things cmocka c++ sanitizers clang fuzzer"; know_localhost ;;
        *) say "setup: the sets are build and tests, not '$setup_set'"; exit 1 ;;
        esac
    done
    # shellcheck disable=SC2086
    setup_missing=$(missing $setup_things)
    if [ -z "$setup_missing" ]; then
        say "set-up: everything for $* is there"
        return 0
    fi
    setup_packages=
    for setup_thing in $setup_missing; do setup_packages="$setup_packages $(package "$setup_thing")"; done
    setup_packages=$(printf '%s\n' $setup_packages | sort -u | tr '\n' ' ')
    if ! command -v apt-get >/dev/null 2>&1; then
        say "set-up: missing:$setup_missing. Debian calls the packages ${setup_packages% }; install your system's, then run this again." >&2
        exit 1
    fi
    setup_root=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || {
            say "set-up: missing:$setup_missing. As root: apt-get install ${setup_packages% }; then run this again." >&2
            exit 1
        }
        setup_root=sudo
    fi
    say "set-up: installing ${setup_packages% }"
    setup_log=$(mktemp)
    # shellcheck disable=SC2086
    if ! { $setup_root apt-get update && $setup_root env DEBIAN_FRONTEND=noninteractive apt-get install -y \
        --no-install-recommends $setup_packages; } </dev/null >"$setup_log" 2>&1; then
        tail -n 20 "$setup_log" >&2
        say "set-up: apt-get failed; its last words are above, all of them in $setup_log" >&2
        exit 1
    fi
    rm -f "$setup_log"
    # shellcheck disable=SC2086
    setup_missing=$(missing $setup_things)
    [ -z "$setup_missing" ] || {
        say "set-up: installed, and still missing or too old:$setup_missing (cmake 3.25, libuv 1.44 and libsodium 1.0.18 are the oldest that do)" >&2
        exit 1
    }
}

# jobs: how many processes a build or test run may use.
jobs() {
    nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2
}

# build_tree PRESET [TARGET...]: configure and build one tree of CMakePresets.json. What the tools say goes to a log,
# which is shown when they fail.
build_tree() {
    setup_preset=$1
    shift
    # Only a new tree asks: the cache of an old one keeps its generator.
    ! command -v ninja >/dev/null 2>&1 || export CMAKE_GENERATOR="${CMAKE_GENERATOR:-Ninja}"
    mkdir -p build/logs
    setup_log=build/logs/$setup_preset.log
    if ! (: >"$setup_log") 2>/dev/null; then
        say "$setup_log cannot be written: did another user build here? Then give the folder build to whoever runs this" >&2
        exit 1
    fi
    say "building the $setup_preset tree (log: $setup_log)"
    if ! { cmake --preset "$setup_preset" &&
        cmake --build --preset "$setup_preset" --parallel "$(jobs)" ${1:+--target "$@"}; } >"$setup_log" 2>&1; then
        setup_said=$(grep -E -A 6 'error:|Error|FAILED|undefined reference|warning:' "$setup_log" || tail -n 20 "$setup_log")
        printf '%s\n' "$setup_said" | head -n 60 >&2
        say "building the $setup_preset tree failed; everything is in $setup_log" >&2
        exit 1
    fi
}

case ${0##*/} in
setup.sh)
    if [ $# -gt 0 ]; then setup "$@"; else setup build tests; fi
    ;;
esac
