# SPDX-License-Identifier: MIT
# A file fits in the head: over 600 lines is said, over 700 fails (weir.h: 2500). A function fails over 70 lines,
# unless the first line of its body says why with a comment that begins with "long:". Generated tables are exempt.
. "$(dirname "$0")/lib.sh"
find_files '*.c' '*.h' '*.lua' '*.py' '*.go' '*.rs' '*.js' '*.mjs' '*.cpp' '*.hpp' '*.sh' \
    -- core lua bindings examples tests | lint_awk sizes.awk
