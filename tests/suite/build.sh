# SPDX-License-Identifier: MIT
# One tree of CMakePresets.json builds without a warning: sh tests/suite/build.sh PRESET
. tests/setup.sh
build_tree "$1"
! grep -A 6 'warning:' "build/logs/$1.log" || { say "the $1 tree builds with warnings"; exit 1; }
