# SPDX-License-Identifier: MIT
# files/1: two processes serve a file, a third one fetches it from both; from one while the other dies; and in vain
# when nobody has it.
. "$(dirname "$0")/lib.sh"
mkdir one two out again
head -c 20000000 /dev/urandom >one/big
cp one/big two/big
begin first run "$protocols/files.lua" --listen 127.0.0.1:0 --allow fs=one
listening first
one=$invitation
begin second run "$protocols/files.lua" --listen 127.0.0.1:0 --allow fs=two
listening second
two=$invitation
begin client run "$protocols/files.lua" --allow fs=out -- big "$one" "$two"
over client 0
grep -q '^verified	big	20000000	[0-9a-f]*$' client.said || { said_so; fail "it is not verified"; }
cmp one/big out/big || fail "the file differs"

tell second TERM
over second 0

# One dies in the middle of a part: it writes half of it, says so, and is killed.
sed 's/out:copy(f, length)/out:copy(f, length \/\/ 2) print "half a part" connect "127.0.0.1:1"/' \
    "$protocols/files.lua" >dying.lua
begin dying run dying.lua --listen 127.0.0.1:0 --allow fs=two
listening dying
begin late run "$protocols/files.lua" --allow fs=again -- big "$invitation" "$one"
said dying 'half a part'
tell dying KILL
over late 0
cmp one/big again/big || fail "the file differs when a server dies"

begin absent run "$protocols/files.lua" --allow fs=out -- nothing "$one"
over absent 1
grep -q '^cannot fetch nothing: ' absent.said || fail "it does not say that nobody has it"
tell first TERM
over first 0
