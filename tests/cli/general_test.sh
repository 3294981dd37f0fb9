# SPDX-License-Identifier: MIT
# What all commands share: help for each, mistakes with the nearest name, no colours where no person looks, completions
# that shells can read, and a man page that is what the command writes.
. "$(dirname "$0")/lib.sh"
commands='id run sim ping limits repl new reference test'

expect 0 --version
prints 'weir 0.'
prints 'Lua 5.4'
prints 'libcbor'
expect 0 --help
for command in $commands; do
    prints "weir $command"
    expect 0 "$command" --help
    [ "$(head -n 1 out | cut -d ' ' -f 1,2)" = "weir $command" ] || fail "--help of $command begins otherwise"
    prints '--help'
    cp out by_option
    expect 0 --help "$command"
    cmp out by_option || fail "--help $command differs"
    expect 2 "$command" --no-such-option
    complains "there is no option '--no-such-option'"
    complains "weir $command --help"
    expect 0 --help
done
awk 'length > 100' out | grep . && fail "--help has long lines"

expect 2
complains 'weir --help'
expect 2 rnu
complains "there is no command 'rnu' (did you mean 'run'?)"
expect 2 --versoin
complains "'--version'"
expect 2 --help rnu
expect 2 sim --node 3 x.lua
complains "did you mean '--nodes'?"
expect 2 sim x.lua --nodes 0
complains 'is not a whole number above 0'
expect 2 sim x.lua --time soon
complains "'soon' is not a time"
expect 2 sim x.lua --nodes
complains '--nodes needs N'
expect 2 limits --memory much
complains 'a size such as'
expect 2 run
complains 'SCRIPT is missing'
expect 2 run a.lua b.lua
complains 'one argument too many'
expect 2 id --new=yes
complains 'takes no value'
expect 2 id --key a --key b
complains 'given twice'

# Nothing here is a terminal: no escape, in no case.
for words in '--help' 'rnu' 'limits' 'sim nowhere.lua' 'ping nowhere'; do
    # shellcheck disable=SC2086
    "$weir" $words >out 2>err </dev/null || :
    if tr -d '\n\t' <out | LC_ALL=C grep -q '[[:cntrl:]]' || tr -d '\n\t' <err | LC_ALL=C grep -q '[[:cntrl:]]'; then
        fail "weir $words: a control byte, and no terminal"
    fi
done

# On a terminal there are colours, unless NO_COLOR says otherwise.
if command -v script >scratch 2>&1; then
    script -qec "TERM=xterm '$weir' rnu || :" shown >scratch
    grep -q "$(printf '\033')\[" shown || fail "no colours on a terminal"
    script -qec "TERM=xterm NO_COLOR=1 '$weir' rnu || :" shown >scratch
    ! grep -q "$(printf '\033')\[" shown || fail "colours in spite of NO_COLOR"
fi

expect 0 --man
cmp out "$tree/docs/man/weir.1" || fail "docs/man/weir.1 is not what weir --man writes"
if command -v man >scratch 2>&1; then man -l --warnings=w out >page 2>warnings || :; [ ! -s warnings ] || fail "$(cat warnings)"; fi
for shell in bash zsh fish; do
    expect 0 --completion $shell
    prints weir
    command -v $shell >scratch 2>&1 || continue
    $shell -n out 2>err || fail "$shell does not read its completion"
done
if command -v bash >scratch 2>&1; then
    expect 0 --completion bash
    found=$(bash -c '. ./out; COMP_WORDS=(weir li); COMP_CWORD=1; _weir; echo "${COMPREPLY[*]}"
        COMP_WORDS=(weir sim --no); COMP_CWORD=2; _weir; echo "${COMPREPLY[*]}"')
    [ "$found" = "limits
--nodes" ] || fail "bash completes: $found"
fi
expect 2 --completion ksh
complains 'bash, zsh or fish'
