# SPDX-License-Identifier: MIT
# Every #include obeys the order of the floors (docs/style.md): own folder and lower ones. uv.h, sodium.h
# and lua.h each have one folder, the engine includes no header of the operating system, weir.h needs nothing but
# stdint.h and stddef.h, and lua, bindings and examples see weir.h and nothing else of core.
. "$(dirname "$0")/lib.sh"
find_files '*.c' '*.h' '*.def' -- core lua bindings examples | lint_awk floors.awk
