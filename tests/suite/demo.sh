# SPDX-License-Identifier: MIT
# The demo, with a file of 8 MiB: it succeeds, and its last line begins with "verified".
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
head -c 8388608 /dev/urandom >"$scratch/file.bin"
sh examples/demo.sh "$scratch/file.bin" >"$scratch/said" 2>&1 || { cat "$scratch/said"; echo "the demo failed"; exit 1; }
cat "$scratch/said"
tail -n 1 "$scratch/said" | grep -q '^verified' || { echo 'the last line does not begin with "verified"'; exit 1; }
