# SPDX-License-Identifier: MIT
# The binary interface is what docs/abi says: symbols, functions, constants, layout. sh tests/lint/abi.sh --update
# writes the files anew after a change that is meant; the commit then carries an ABI: trailer.
update=
[ "${1:-}" != --update ] || { update=yes; shift; }
. "$(dirname "$0")/lib.sh"
need_library
status=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
[ -z "$update" ] || mkdir -p docs/abi
for part in symbols functions constants layout; do
    sh "$lint_dir/abi_dump.sh" $part core/include/weir.h "$build/libweir.so" >"$scratch/$part.txt"
    if [ -n "$update" ]; then
        cp "$scratch/$part.txt" docs/abi/$part.txt
        echo "wrote docs/abi/$part.txt: $(grep -c . docs/abi/$part.txt) lines"
    elif [ ! -e docs/abi/$part.txt ]; then
        echo "docs/abi/$part.txt is missing: sh tests/lint/abi.sh --update writes it"
        status=1
    elif ! diff -u docs/abi/$part.txt "$scratch/$part.txt"; then
        echo "the ABI differs from docs/abi/$part.txt; if that is meant: sh tests/lint/abi.sh --update"
        status=1
    fi
done
exit $status
