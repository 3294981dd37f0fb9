# SPDX-License-Identifier: MIT
# One tree of CMakePresets.json builds without a warning: sh tests/suite/build.sh PRESET
. tests/setup.sh
build_tree "$1"
# A warning is said once, when its file is compiled: so that it stays red until mended, the file is compiled again.
if grep -A 6 'warning:' "build/logs/$1.log"; then
    say "the $1 tree builds with warnings"
    case $1 in release) objects="build/core build/tests build/examples" ;; *) objects=build/$1 ;; esac
    find $objects -name '*.o' -delete
    exit 1
fi
