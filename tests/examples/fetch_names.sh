# SPDX-License-Identifier: MIT
# fetch: a name leads to a plain file inside the folder or nowhere: not up, not through a link, not to a pipe. Who is
# refused leaves nothing behind, and other names go on working.
. "$(dirname "$0")/lib.sh"
mkdir given given/sub outside
echo 'nobody may read this' >outside/secret
echo plain >given/plain
echo inner >given/sub/inner
echo dots >given/..dots
ln -s ../outside/secret given/link
ln -s ../outside given/linked
ln -s plain given/inside
mkfifo given/pipe
start given --listen 127.0.0.1:0

# refused NAME SENTENCE
refused() {
    expect 1 get "$invitation" -o got -- "$1"
    says "$2"
    ! grep -rq 'nobody may read' said got* 2>/dev/null || fail "the secret came"
    for left in got*; do [ ! -e "$left" ] || fail "'$1' left $left"; done
}
inside='only files inside its folder'
for name in ../outside/secret sub/../../outside/secret "$scratch/outside/secret" /etc/passwd link linked/secret inside \
    .. . sub/.. ./plain sub//inner //plain sub/; do
    refused "$name" "$inside"
done
for name in absent sub pipe linked2/x "$(printf 'plain\nx')"; do refused "$name" 'has no such file'; done

# given NAME FILE
given() {
    expect 0 get "$invitation" -o got -- "$1"
    cmp got "$2" || fail "$1 came, but not as it is"
    rm got
}
given plain given/plain
given sub/inner given/sub/inner
given ..dots given/..dots
: >given/empty
given empty given/empty

# Without -o the file gets the last part of its name, here.
expect 0 get "$invitation" sub/inner
cmp inner given/sub/inner || fail "inner is not where it belongs"
expect 1 get "$invitation" sub/
says "cannot be a file's name"
stop TERM 0
