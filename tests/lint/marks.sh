# SPDX-License-Identifier: MIT
# Nothing unfinished and nothing of one machine is left in the tree: marks of work to do (that is an issue), merge
# conflicts, folders of a workplace or of somebody's home, download addresses in lock files.
. "$(dirname "$0")/lib.sh"
# The words are put together here so that this file does not report itself.
marks="TO""DO|FIX""ME|XX""X|HA""CK"
places="wo""rk|fa""rm|ro""ot|home/[a-z]+"
find_files '*' -- . | grep -v -e '\.svg$' -e '^\./tests/fuzz/corpus/' | {
    list=$(cat)
    [ -n "$list" ] || exit 0
    status=0
    # shellcheck disable=SC2086
    grep -nIE "(^|[^A-Za-z0-9_])($marks)([^A-Za-z0-9_]|\$)" /dev/null $list && status=1
    # shellcheck disable=SC2086
    grep -nIE '^(<<<<<<<|>>>>>>>) ' /dev/null $list && status=1
    # shellcheck disable=SC2086
    grep -nIE "(^|[^A-Za-z0-9._}])/($places)/|\"resolved\": \"https?:" /dev/null $list && status=1
    exit $status
}
