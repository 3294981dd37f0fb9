# SPDX-License-Identifier: MIT
# fetch: a client whose address is taken away in the middle of a transfer goes on from its new one, on the same
# connection. Two network namespaces, a link of 100 Mbit/s between them; needs root, ip and tc (iproute2).
. "$(dirname "$0")/lib.sh"
binary=$program
here=weir-here-$$
there=weir-there-$$

forget() {
    ip netns del "$here" 2>/dev/null || :
    ip netns del "$there" 2>/dev/null || :
}
trap 'clean_up; forget' EXIT

skip() {
    echo "skipped: $*"
    exit 77
}

command -v ip >/dev/null 2>&1 && command -v tc >/dev/null 2>&1 || skip "ip and tc (Debian: iproute2) are not installed"
ip netns add "$here" 2>ip.said || skip "no network namespaces can be made: $(cat ip.said)"
ip netns add "$there"
ip link add va netns "$here" type veth peer name vb netns "$there" 2>ip.said || skip "no veth: $(cat ip.said)"
ip -n "$here" addr add 10.9.0.1/24 dev va
ip -n "$there" addr add 10.9.0.2/24 dev vb
ip -n "$here" link set va up
ip -n "$there" link set vb up
ip netns exec "$here" tc qdisc add dev va root tbf rate 100mbit burst 64kb latency 20ms 2>ip.said ||
    skip "no rate limit (tbf): $(cat ip.said)"

# in NAMESPACE NAME: a program of that name that runs fetch in the namespace.
in_namespace() {
    printf '#!/bin/sh\nexec ip netns exec %s %s "$@"\n' "$1" "$binary" >"$2"
    chmod +x "$2"
}
in_namespace "$here" server
in_namespace "$there" client

mkdir given
"$binary" make given/file 33554432 1
program=$scratch/server
start given --listen 10.9.0.1:0
mkfifo client.said
./client get "$invitation" file -o got >client.said 2>&1 &
client=$!
exec 4<client.said
: >said
while IFS= read -r line <&4; do # until it says how far it is: the transfer takes 2.7 s
    printf '%s\n' "$line" >>said
    case $line in *' % '*) break ;; esac
done
ip -n "$there" addr add 10.9.0.3/24 dev vb
ip -n "$there" addr del 10.9.0.2/24 dev vb
ip -n "$there" addr replace 10.9.0.3/24 dev vb # the kernel took the second address with the first
cat <&4 >>said
exec 4<&-
status=0
wait "$client" || status=$?
[ "$status" = 0 ] || fail "the client ended with $status"
says 'fetched 33554432 bytes'
cmp got given/file || fail "the file differs"
stop TERM 0
[ "$(grep -c '^client ' server.log)" = 1 ] || fail "it took more than one connection"
