# SPDX-License-Identifier: MIT
# A test does not sleep, and outside the tests of the real world (host, api, bench) it has no clock: time is virtual.
. "$(dirname "$0")/lib.sh"
find_files '*.c' '*.h' -- tests | lint_awk waits.awk
