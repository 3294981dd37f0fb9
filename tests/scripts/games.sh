# SPDX-License-Identifier: MIT
# The games with three processes each. The second and the third one are given the first; what they have in common is
# what the first tells, except that tit_for_tat is told everybody, and nearest takes its time.
. "$(dirname "$0")/lib.sh"
three() {
    game=$1 sign=$2 times=$3
    rm -f ./*.pipe
    started=0
    begin first run "$games/$game.lua" --verbose --listen 127.0.0.1:0
    listening first
    first=$invitation others=$invitation
    begin second run "$games/$game.lua" --verbose --listen 127.0.0.1:0 -- "$first"
    listening second
    said first "$sign"
    said second "$sign"
    [ "$game" != tit_for_tat ] || others="$first $invitation"
    # shellcheck disable=SC2086
    begin third run "$games/$game.lua" --verbose --listen 127.0.0.1:0 -- $others
    for _ in $times; do said third "${4:-$sign}"; done
    for name in third second first; do
        tell $name KILL
        over $name 137
    done
}
three random_k '*linked with*' 'one two'
three hyparview '*linked with*' 'one two'
three tit_for_tat '*linked with*' 'one two'
three cyclon '*1 peers known' 'one' '*2 peers known'
three nearest '*linked with*' 'one'
