# SPDX-License-Identifier: MIT
# docs/metrics.md and docs/limits.md are what metrics.def and limits.def say. sh tests/lint/tables.sh --update writes
# them anew after a change of a table.
update=
[ "${1:-}" != --update ] || { update=yes; shift; }
. "$(dirname "$0")/lib.sh"
status=0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
${CC:-cc} -std=c11 -Icore -o "$scratch/tables" "$lint_dir/tables.c"
for part in metrics limits; do
    "$scratch/tables" $part >"$scratch/$part.md"
    if [ -n "$update" ]; then
        mkdir -p docs
        cp "$scratch/$part.md" docs/$part.md
        echo "wrote docs/$part.md: $(grep -c '^| `' docs/$part.md) rows"
    elif [ ! -e docs/$part.md ]; then
        echo "docs/$part.md is missing: sh tests/lint/tables.sh --update writes it"
        status=1
    elif ! diff -u docs/$part.md "$scratch/$part.md"; then
        echo "docs/$part.md is not what the table says: sh tests/lint/tables.sh --update"
        status=1
    fi
done
exit $status
