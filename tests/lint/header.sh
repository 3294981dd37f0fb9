# SPDX-License-Identifier: MIT
# weir.h compiles alone, and twice, as C99, C11 and C++17, with every warning an error. CC and CXX choose compilers.
. "$(dirname "$0")/lib.sh"
header=core/include/weir.h
[ -e $header ] || { echo "$header is missing"; exit 1; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '#include "weir.h"\n#include "weir.h"\nint weir_header_is_whole;\n' >"$scratch/twice.c"
cp "$scratch/twice.c" "$scratch/twice.cpp"
status=0
for language in c99 c11 c++17; do
    compiler=${CC:-cc} file=twice.c
    [ $language != c++17 ] || { compiler=${CXX:-c++} file=twice.cpp; }
    # shellcheck disable=SC2086
    $compiler -std=$language -Wall -Wextra -Wpedantic -Werror -Icore/include -fsyntax-only "$scratch/$file" || {
        echo "$header does not compile as $language with $compiler"
        status=1
    }
done
exit $status
