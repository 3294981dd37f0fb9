# SPDX-License-Identifier: MIT
# libweir.so exports weir_* and nothing else, at most 120 of them, the same as weir.h declares; libweir.a defines
# no other global name either. Against docs/abi the comparison is abi.sh's.
. "$(dirname "$0")/lib.sh"
need_library
status=0
exported=$(nm -D --defined-only "$build/libweir.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
foreign=$(printf '%s\n' "$exported" | grep -v -e '^weir_' -e '^$') && {
    echo "libweir.so exports more than weir_*:" $foreign
    status=1
}
foreign=$(nm -g --defined-only "$build/libweir.a" | awk 'NF == 3 && $3 !~ /^weir_/ { print $3 }') || true
[ -z "$foreign" ] || {
    echo "libweir.a defines global names other than weir_*:" $foreign
    status=1
}
count=$(printf '%s\n' "$exported" | grep -c .) || true
[ "$count" -le 120 ] || {
    echo "libweir.so exports $count functions, more than 120"
    status=1
}
declared=$(sh "$lint_dir/abi_dump.sh" functions core/include/weir.h | sed 's/ *(.*//; s/.*[ *]//' | sort)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '%s\n' "$exported" | grep . >"$scratch/exported" || true
printf '%s\n' "$declared" | grep . >"$scratch/declared" || true
for name in $(comm -13 "$scratch/exported" "$scratch/declared"); do
    echo "weir.h declares $name, which libweir.so does not export"
    status=1
done
for name in $(comm -23 "$scratch/exported" "$scratch/declared"); do
    echo "libweir.so exports $name, which weir.h does not declare"
    status=1
done
exit $status
