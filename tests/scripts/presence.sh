# SPDX-License-Identifier: MIT
# presence/1: three processes; the two that know only the first hear of each other through it. That somebody is gone
# takes half a minute, and is looked at in a world.
. "$(dirname "$0")/lib.sh"
begin alice run "$protocols/presence.lua" --listen 127.0.0.1:0 -- alice
listening alice
begin bob run "$protocols/presence.lua" -- bob "$invitation"
said alice 'bob is here'
said bob 'alice is here'
begin carol run "$protocols/presence.lua" -- carol "$invitation"
said alice 'carol is here'
said carol 'alice is here'
said carol 'bob is here'
said bob 'carol is here'
for name in bob carol alice; do
    tell $name TERM
    over $name 0
done
