# SPDX-License-Identifier: MIT
# fetch: a get that stopped goes on with what is missing; a file that was changed, or a part that was damaged, begins
# anew; a part of another program is left alone.
. "$(dirname "$0")/lib.sh"
mkdir given
size=5243003 # five ranges, and a last one of 123 bytes
"$program" make given/file "$size" 1
start given --listen 127.0.0.1:0 --key server.key
get='get --key client.key --parallel 2 -o got'

# The first run takes two ranges, the second only the other four.
# shellcheck disable=SC2086
expect 0 $get --ranges 2 "$invitation" file
says 'stopped: 2 of 6 ranges'
[ -f got.part ] && [ -f got.part.map ] && [ ! -e got ] || fail "the parts are not as they should be"
expect 0 $get "$invitation" file
says 'resuming: 2 of 6 ranges are here'
says "fetched $((size - 2 * 1048576)) bytes"
cmp got given/file || fail "the file differs"
[ ! -e got.part ] && [ ! -e got.part.map ] || fail "parts are left"
says "hash $("$program" hash got | cut -d ' ' -f 1) "

# The server's file is another one now.
rm got
expect 0 $get --ranges 3 "$invitation" file
"$program" make given/file "$size" 2
expect 0 $get "$invitation" file
says 'the 3 ranges in got.part belong to another file'
says "fetched $size bytes"
cmp got given/file || fail "the changed file differs"

# A range on the disk is not what came.
rm got
expect 0 $get --ranges 3 "$invitation" file
printf 'damaged' | dd of=got.part bs=1 seek=1000 conv=notrunc 2>/dev/null
expect 1 $get "$invitation" file
says 'does not have the hash that the server said'
[ ! -e got ] || fail "a damaged file got its name"
expect 0 $get "$invitation" file
says "fetched $size bytes"
cmp got given/file || fail "the repeated file differs"

# A map that is cut short is no map.
rm got
expect 0 $get --ranges 3 "$invitation" file
dd if=got.part.map of=map.cut bs=1 count=20 2>/dev/null
mv map.cut got.part.map
expect 0 $get "$invitation" file
says "fetched $size bytes"

# Somebody else's file.
rm got
echo 'not yours' >got.part
expect 1 $get "$invitation" file
says "another program's"
[ "$(cat got.part)" = 'not yours' ] && [ ! -e got.part.map ] || fail "another program's part was touched"

# The key that was made is the key that is used, and nobody else reads it.
peer=$(sed -n 's/^peer //p' said)
rm got.part
expect 0 $get "$invitation" file
says "peer $peer"
case $(ls -l client.key) in -rw-------*) ;; *) fail "others can read client.key" ;; esac
stop TERM 0
grep -q '^drained$' server.log || fail "the server did not drain"
