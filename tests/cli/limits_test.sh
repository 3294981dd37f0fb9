# SPDX-License-Identifier: MIT
# weir limits: all of them, and what memory and peers change.
. "$(dirname "$0")/lib.sh"
expect 0 limits
for word in LIMIT node_memory '256 MiB' fixed derived; do prints "$word"; done
expect 0 limits --memory 8M --peers 10
prints '8 MiB'
expect 0 limits --memory 8M --json
prints '"name":"node_memory"'
prints '"value":8388608'
expect 1 limits --memory 1
complains error:
expect 2 limits something
