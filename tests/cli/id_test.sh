# SPDX-License-Identifier: MIT
# weir id: a key is made once, where XDG says, readable by its owner alone; the peer id stays.
. "$(dirname "$0")/lib.sh"
expect 0 id
complains 'made '
peer=$(cat out)
case $peer in 12D3KooW*) ;; *) fail "'$peer' is not a peer id" ;; esac
[ "$(stat -c %a home/.config/weir/key)" = 600 ] || fail "others can read the key"
[ "$(stat -c %a home/.config/weir)" = 700 ] || fail "others can look into the key's folder"
expect 0 id
[ "$(cat out)" = "$peer" ] && [ ! -s err ] || fail "the second run differs"

expect 0 id --listen 192.0.2.1:4001
prints "weir:$peer@192.0.2.1:4001"
expect 0 id --json
prints "\"peer\":\"$peer\""
prints '"new":false'

XDG_CONFIG_HOME=$scratch/other "$weir" id >out 2>err || fail "XDG_CONFIG_HOME"
[ -f other/weir/key ] && [ "$(cat out)" != "$peer" ] || fail "XDG_CONFIG_HOME is not used"
expect 0 id --key mine
[ "$(stat -c %a mine)" = 600 ] || fail "others can read the key"
expect 1 id --key mine --new
complains 'there already'
expect 0 id --new --key another/folder/key

# What is no key, or was shown to others.
echo nonsense >bad
chmod 600 bad
expect 1 id --key bad
complains bad
chmod 644 mine
expect 1 id --key mine
complains mine
expect 1 id --key mine/below
expect 2 id --listen 'not an address'
complains '--listen'
unset HOME
expect 1 id
complains 'XDG_CONFIG_HOME'
