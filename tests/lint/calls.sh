# SPDX-License-Identifier: MIT
# The engine (core/base to core/node) computes and does nothing else: no heap by name, clock, thread, file, socket,
# environment, randomness of its own, output, or floating point. objects.sh looks at the same from the compiled side;
# this one names the line.
. "$(dirname "$0")/lib.sh"
set --
for floor in $engine; do set -- "$@" "core/$floor"; done
find_files '*.c' '*.h' -- "$@" | lint_awk calls.awk
