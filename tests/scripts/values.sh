# SPDX-License-Identifier: MIT
# values/1: one process publishes two keys, two follow; each sees both change.
. "$(dirname "$0")/lib.sh"
begin source run "$protocols/values.lua" --listen 127.0.0.1:0 -- temperature load
listening source
begin first run "$protocols/values.lua" -- "$invitation"
begin second run "$protocols/values.lua" -- "$invitation"
for name in first second; do
    for key in temperature load temperature load; do said $name "$key	*"; done
done
tell source TERM
said first 'the feed ended'
over first 0
said second 'the feed ended'
over second 0
over source 0
