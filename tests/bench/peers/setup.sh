#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs and builds the competitors that build/tests/bench/peers runs: sh tests/bench/peers/setup.sh [BUILD]
#
# BUILD is a build tree of weir (default: build, which must be configured). Libraries come from apt-get (as root or
# with sudo), the rest from the registries of go, cargo and npm, in exact versions, and stays in BUILD/peers. What
# cannot be had is said and left out. Nothing of this is needed to build or test weir.
set -u
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../../.." || exit 1
build=${1:-build}
[ -f "$build/CMakeCache.txt" ] || {
    echo "peers: $build is no build tree: cmake --preset release" >&2
    exit 1
}
mkdir -p "$build/peers/bin"
peers=$(cd "$build/peers" && pwd)
bin=$peers/bin
status=0

# attempt WHAT FUNCTION: run it, with its output in a log that is shown when it fails.
attempt() {
    printf 'peers: %s\n' "$1"
    log=$peers/$2.log
    (set -e; "$2") >"$log" 2>&1 # Not in a condition, where -e means nothing.
    [ $? -ne 0 ] || return 0
    tail -n 15 "$log" >&2
    printf 'peers: %s failed; all of it is in %s\n' "$1" "$log" >&2
    status=1
}

# missing COMMAND WHAT: whether a tool is not there; then says what is left out.
missing() {
    ! command -v "$1" >/dev/null 2>&1 || return 1
    printf 'peers: %s is not installed, so %s is left out\n' "$1" "$2"
    status=1
}

packages='libngtcp2-dev libngtcp2-crypto-gnutls-dev libgnutls28-dev libssl-dev libzmq3-dev libenet-dev'

apt() {
    # shellcheck disable=SC2086
    ! dpkg -s $packages >/dev/null || return 0
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    $as_root apt-get update
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
}

in_c() {
    cmake -S . -B "$build"
    cmake --build "$build" --target weir_peers
}

# fresh NAME: a copy of the sources in the build tree, where the lock files of the tools may be.
fresh() {
    mkdir -p "$peers/$1"
    cp -R "$here/$1/." "$peers/$1/"
    cd "$peers/$1"
}

in_go() {
    fresh quic_go
    go build -mod=mod -trimpath -o "$bin/peer_quic_go" .
}

in_rust() {
    fresh quinn
    PEER_QUINN_VERSION=$(sed -n 's/^quinn = "=\(.*\)"/\1/p' Cargo.toml)
    export PEER_QUINN_VERSION
    cargo build --release --target-dir "$peers/quinn/target"
    cp target/release/peer_quinn "$bin/peer_quinn"
}

# wrapper NAME ARGUMENTS: a competitor that node runs.
wrapper() {
    printf '#!/bin/sh\nexec node --expose-gc "%s/js/%s" %s "$@"\n' "$peers" "$2" "$3" >"$bin/peer_$1"
    chmod +x "$bin/peer_$1"
}

in_js() {
    fresh js
    npm install --no-package-lock --no-audit --no-fund
    wrapper libp2p_tcp libp2p.js tcp
    wrapper libp2p_quic libp2p.js quic
    wrapper udx udx.js udx
}

if ! missing apt-get 'what its packages give'; then attempt 'installing libraries' apt; fi
attempt 'building the competitors in C' in_c
if ! missing go quic-go; then attempt 'building quic-go' in_go; fi
if ! missing cargo quinn; then attempt 'building quinn' in_rust; fi
if ! missing npm 'js-libp2p and udx'; then attempt 'installing js-libp2p and udx' in_js; fi
exit $status
