# SPDX-License-Identifier: MIT
# chat/1: three processes in a row; what is typed at one end is read at the other, through the one between.
. "$(dirname "$0")/lib.sh"
mkfifo keys.first keys.last
exec 8<>keys.first 9<>keys.last
input=keys.first begin first run "$protocols/chat.lua" --listen 127.0.0.1:0 --allow input
listening first
begin middle run "$protocols/chat.lua" --listen 127.0.0.1:0 -- "$invitation"
listening middle
said first '\* * is here'
input=keys.last begin last run "$protocols/chat.lua" --allow input -- "$invitation"
said last '\* * is here'
said middle '\* * is here'
said middle '\* * is here'
echo 'hello from the first' >&8
said last '*: hello from the first'
echo 'hello from the last' >&9
said first '*: hello from the last'
said middle '*: hello from the first'
said middle '*: hello from the last'
tell last KILL
tell middle TERM
over middle 0
said first '\* * left (*)'
tell first TERM
over first 0
[ "$(grep -c 'hello from the last' first.said)" = 1 ] || fail "a line came twice"
