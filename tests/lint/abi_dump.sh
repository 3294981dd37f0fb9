# SPDX-License-Identifier: MIT
# sh abi_dump.sh WHAT HEADER [LIBRARY]: one part of the binary interface as text, sorted, for docs/abi.
#   symbols    the exported names with their version node, from the library
#   functions  the declarations, one per line
#   constants  WEIR_* macros and enumerators with their values
#   layout     every struct weir_*: size, then offset, size, type and name of each field
# Values, sizes and offsets are the compiler's: a small program is written, compiled with $CC and run.
set -eu
LC_ALL=C
export LC_ALL
lint_dir=$(cd "$(dirname "$0")" && pwd)
what=$1 header=$2
compiler=${CC:-cc}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# The header alone, without comments and macros: what its own lines become.
preprocessed() {
    $compiler -std=c99 -E "$header" | awk -v header="$header" '
        /^# [0-9]+ "/ { split($0, part, "\""); own = part[2] == header; next }
        own { print }'
}

run_program() {
    { printf '#include "%s"\n#include <stdio.h>\n' "$(cd "$(dirname "$header")" && pwd)/$(basename "$header")"
      echo 'int main(void)'; echo '{'; cat; echo '    return 0;'; echo '}'; } >"$scratch/dump.c"
    $compiler -std=c11 -w "$scratch/dump.c" -o "$scratch/dump"
    "$scratch/dump"
}

case $what in
symbols)
    nm -D --defined-only "$3" | awk '$2 != "A" { sub(/@@?/, " ", $3); print $3 }' | sort
    ;;
functions)
    preprocessed | awk -f "$lint_dir/abi_functions.awk" | sort
    ;;
constants)
    # String macros are printed as text, everything else as a number with its sign.
    { $compiler -std=c99 -dM -E "$header" | awk '
          $2 ~ /^WEIR_[A-Z0-9_]+$/ && NF > 2 && !/__attribute__|__declspec|extern/ {
              print $2, $3 ~ /^"/ ? "text" : "number" }'
      preprocessed | awk -f "$lint_dir/abi_enums.awk" | sed 's/$/ number/'; } | sort -u | awk '
          $2 == "text" { printf "    printf(\"%s %%s\\n\", %s);\n", $1, $1 }
          $2 == "number" { printf "    printf((%s) < 0 ? \"%s %%lld\\n\" : \"%s %%llu\\n\", " \
                                 "(long long)(%s));\n", $1, $1, $1, $1 }' |
        run_program
    ;;
layout)
    preprocessed | awk -f "$lint_dir/abi_layout.awk" >"$scratch/body"
    run_program <"$scratch/body"
    ;;
*)
    echo "abi_dump.sh: $what is not one of symbols, functions, constants, layout" >&2
    exit 2
    ;;
esac
