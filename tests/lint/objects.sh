# SPDX-License-Identifier: MIT
# What the compiled engine really holds and calls: no writable variable outside the stack and the heap, and no call
# to the operating system, whatever macro it hides behind. Looks at an uninstrumented build.
. "$(dirname "$0")/lib.sh"
need_library
status=0
for floor in $engine; do
    archive=$build/core/$floor/libweir_${floor}_archive.a
    if [ ! -e "$archive" ]; then
        [ -e "core/$floor/CMakeLists.txt" ] || continue # a floor that has only its room
        echo "$archive is missing: nothing was looked at"
        status=1
        continue
    fi
    objdump -t "$archive" | awk -v floor="$floor" -f "$lint_dir/objects.awk" || status=1
done
exit $status
