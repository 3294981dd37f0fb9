#!/bin/sh
# SPDX-License-Identifier: MIT
# The one test command: sh tests/run.sh
#
# Installs what is missing, builds the release tree (build/) and the AddressSanitizer tree (build/asan), and runs
# everything as tests of the latter: unit and scenario tests, lints, installing, the same sources under clang, and
# every fuzz target for a while. WEIR_FUZZ_SECONDS (180) is the time of all fuzz targets together. Arguments go to
# ctest: `sh tests/run.sh -L lint` runs the lints alone.
set -eu
cd "$(dirname "$0")/.."
. tests/setup.sh
setup build tests
build_tree release
build_tree asan
[ -d ../shared/vectors ] || say "testing: ../shared/vectors is absent: the tests of published vectors skip themselves"
say "testing: ctest --preset asan, fuzzing for ${WEIR_FUZZ_SECONDS:-180} s in all"
exec ctest --preset asan --parallel "$(jobs)" "$@"
