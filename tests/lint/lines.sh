# SPDX-License-Identifier: MIT
# The look of a line: at most 100 columns (a character of UTF-8 is one), no tab, nothing after the last word; and
# the licence in the first line of every C file. Tables (.def) are as wide as a row. What .clang-format would do beyond
# that is left to people.
. "$(dirname "$0")/lib.sh"
find_files '*.c' '*.h' -- core lua bindings examples tests | lint_awk lines.awk
