#!/bin/sh
# SPDX-License-Identifier: MIT
# See usage below. A competitor is a program peers/bin/peer_NAME in the build tree, with the arguments and lines that
# tests/bench/peers/peer.h lists; weir's own figures come from the benchmarks beside this script, run with --json.
set -eu
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
bin=$here/../../peers/bin
setup='sh tests/bench/peers/setup.sh'

usage() {
    cat <<'END'
peers: weir beside what a user would pick instead, in one run and in turn. Everybody has a server that receives on
core 0 and a client that sends on core 1, over loopback; ratios of medians drift less than the medians do.

  --rounds N     how often everything is measured (5)
  --only A,B     these competitors only, by their names in --list
  --figures A,B  of bulk, handshakes, requests, idle (all)
  --quick        one round of small amounts, to see that everything runs
  --json         one line of JSON per figure; what people read goes to stderr
  --list         which competitors are there, and what the others need
  --help         this
END
}

# name;label;kind;MiB of bulk;handshakes;requests;idle connections;packages. kind: udp and tcp are encrypted, plain is
# not. 0: it has no such thing.
table() {
    cat <<'END'
quic_go;quic-go;udp;256;2000;50000;200;Go
quinn;quinn;udp;256;2000;50000;200;Rust (cargo)
ngtcp2;ngtcp2;udp;256;2000;50000;200;libngtcp2-dev 0.12 (Debian 12) libngtcp2-crypto-gnutls-dev libgnutls28-dev
tls;TLS 1.3 over TCP;tcp;256;2000;0;200;libssl-dev
zmq;ZeroMQ CURVE;tcp;256;2000;50000;200;libzmq3-dev
enet;ENet, no encryption;plain;64;0;50000;0;libenet-dev
uv;libuv TCP, no encryption;plain;256;0;50000;0;libuv1-dev
libp2p_tcp;js-libp2p over TCP;tcp;64;200;2000;200;Node.js and npm
libp2p_quic;js-libp2p over QUIC;udp;64;400;2000;200;Node.js and npm
udx;udx, no encryption;plain;64;0;0;0;Node.js and npm
END
}

die() {
    printf 'peers: %s\n' "$*" >&2
    exit 1
}

rounds=5
only=
figures='bulk handshakes requests idle'
quick=0
json=0
list=0
while [ $# -gt 0 ]; do
    case $1 in
    --rounds | --only | --figures)
        [ $# -gt 1 ] || die "$1 needs a value"
        value=$(printf '%s' "$2" | tr , ' ')
        case $1 in
        --rounds) rounds=$value ;;
        --only) only=" $value " ;;
        --figures) figures=$value ;;
        esac
        shift
        ;;
    --quick) quick=1 rounds=1 ;;
    --json) json=1 ;;
    --list) list=1 ;;
    --help) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
    shift
done
case $rounds in '' | *[!0-9]* | 0*) die "--rounds takes a number from 1, not '$rounds'" ;; esac
for figure in $figures; do
    case $figure in
    bulk | handshakes | requests | idle) ;;
    *) die "--figures takes bulk, handshakes, requests and idle, not '$figure'" ;;
    esac
done
for name in $only; do
    table | grep -q "^$name;" || die "there is no '$name'; see --list"
done

if [ $list = 1 ]; then
    table | while IFS=';' read -r name label _ _ _ _ _ needs; do
        if [ -x "$bin/peer_$name" ]; then state=present; else state="not installed: needs $needs ($setup)"; fi
        printf '%-12s %-25s %s\n' "$name" "$label" "$state"
    done
    exit 0
fi

command -v timeout >/dev/null && command -v taskset >/dev/null || die 'needs timeout (coreutils) and taskset (util-linux)'
taskset -c 1 true 2>/dev/null || die 'needs two cores: a server on core 0, a client on core 1'
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM
values=$scratch/values # lines: FIGURE NAME ROUND VALUE
: >"$values"

# tell TEXT: a line for people.
tell() {
    if [ $json = 1 ]; then printf '%s\n' "$*" >&2; else printf '%s\n' "$*"; fi
}

# weir FIGURE: a number by weir's own benchmark; nothing if there is none.
weir() {
    case $1 in
    bulk) set -- bulk 'bulk: one stream' --one --mib 256 ;;
    handshakes) set -- handshakes 'handshakes: completed' ;;
    requests) set -- requests 'requests: 100 at a time' --many ;;
    idle) set -- idle 'idle: resident memory, listener' --connections 1000 ;;
    esac
    [ -f "$here/$1" ] || {
        echo "tests/bench/$1 is not built" >"$scratch/stderr"
        return 0
    }
    program=$1 wanted=$2
    shift 2
    if [ $quick = 1 ]; then set -- "$@" --quick; fi
    timeout 120 "$here/$program" --json --rounds 1 "$@" 2>"$scratch/stderr" |
        awk -v wanted="\"figure\":\"$wanted\"" '
            index($0, wanted) { match($0, /"value":[0-9.]+/); print substr($0, RSTART + 8, RLENGTH - 8) }'
}

# competitor NAME FIGURE AMOUNT: the same by a competitor. Bits become Gbit, as weir's benchmark has them.
competitor() {
    timeout 60 "$bin/peer_$1" "$2" "$3" 2>"$scratch/stderr" | awk '
        $1 == "bits_per_second" { print $2 / 1e9; next }
        NF == 2 { print $2 }'
}

# note FIGURE NAME ROUND VALUE: keep a value; none is a failure, said with the last words.
note() {
    case $4 in
    '' | *[!0-9.e+-]*) printf 'peers: %s %s: failed: %s\n' "$2" "$1" "$(tail -n 1 "$scratch/stderr")" >&2 ;;
    *) printf '%s %s %s %s\n' "$1" "$2" "$3" "$4" >>"$values" ;;
    esac
}

# amount FIGURE BULK HANDSHAKES REQUESTS IDLE: one of them; of a quick run, less.
amount() {
    case $1 in bulk) set -- "$2" 16 ;; handshakes) set -- "$3" 50 ;; requests) set -- "$4" 1000 ;; idle) set -- "$5" 50 ;; esac
    if [ $quick = 1 ] && [ "$1" -gt "$2" ]; then echo "$2"; else echo "$1"; fi
}

model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
tell "# peers: $(nproc) cores, $model, $(uname -sr); server on core 0, client on core 1; $rounds rounds in turn"
table >"$scratch/all"
: >"$scratch/table"
while IFS=';' read -r name label kind amounts; do
    case ${only:- $name } in *" $name "*) ;; *) continue ;; esac
    if [ ! -x "$bin/peer_$name" ]; then
        tell "# $label: not run: needs ${amounts##*;} ($setup)"
    elif version=$(timeout 20 "$bin/peer_$name" version 2>"$scratch/stderr"); then
        tell "# $label: ${version#version }"
        printf '%s;%s;%s;%s\n' "$name" "$label" "$kind" "$amounts" >>"$scratch/table"
    else
        tell "# $label: not run: $(tail -n 1 "$scratch/stderr")"
    fi
done <"$scratch/all"

begun=$(date +%s)
round=1
while [ "$round" -le "$rounds" ]; do
    for figure in $figures; do
        printf 'peers: round %s of %s: %s: weir' "$round" "$rounds" "$figure" >&2
        note "$figure" weir "$round" "$(weir "$figure" || true)"
        while IFS=';' read -r name label kind bulk handshakes requests idle needs; do
            n=$(amount "$figure" "$bulk" "$handshakes" "$requests" "$idle")
            [ "$n" -gt 0 ] || continue
            printf ' %s' "$name" >&2
            note "$figure" "$name" "$round" "$(competitor "$name" "$figure" "$n" </dev/null || true)"
        done <"$scratch/table"
        printf '\n' >&2
    done
    round=$((round + 1))
done

# The report. A ratio is the median of the rounds' ratios, weir's value by the other's of the same round.
awk -F '[ ;]' -v json=$json -v figures="$figures" -v table="$scratch/table" '
    function sort(list, n,    i, j, t) {
        for (i = 2; i <= n; i++)
            for (j = i; j > 1 && list[j - 1] > list[j]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
    }
    # Median, least, most and count of a figure; false if there is none.
    function gather(figure, name,    r, list) {
        count = 0
        for (r = 1; r <= last; r++) if ((figure, name, r) in value) list[++count] = value[figure, name, r]
        if (count == 0) return 0
        sort(list, count)
        middle = list[int(count / 2) + 1]; least = list[1]; most = list[count]
        return 1
    }
    function ratio_to(figure, name,    r, list, n) {
        for (r = 1; r <= last; r++)
            if (((figure, "weir", r) in value) && value[figure, name, r] > 0)
                list[++n] = value[figure, "weir", r] / value[figure, name, r]
        if (n == 0) return 0
        sort(list, n)
        return list[int(n / 2) + 1]
    }
    function emit(title, figure, against, ratio, must, aim) {
        printf "{\"figure\":\"%s\",\"value\":%.4f,\"unit\":\"%s\",\"against\":\"%s\",\"ratio\":%.4f,\"must\":%.4f,", \
            title, middle, unit[figure], against, ratio, must
        printf "\"aim\":%.4f,\"better\":\"%s\",\"n\":%d,\"min\":%.4f,\"max\":%.4f}\n", aim, better[figure], count, least, most
    }
    function row(text, figure, against) {
        printf "%-27s %12.*f %12.*f %12.*f  %s\n", text, digits[figure], middle, digits[figure], least, \
            digits[figure], most, against
    }
    BEGIN {
        title["bulk"] = "bulk: one stream"; unit["bulk"] = "Gbit/s"; better["bulk"] = "higher"; digits["bulk"] = 2
        title["handshakes"] = "handshakes: new secure connections"; unit["handshakes"] = "1/s"
        title["requests"] = "requests: 128 bytes, 100 at a time"; unit["requests"] = "1/s"
        title["idle"] = "idle: resident memory of a connection, server"; unit["idle"] = "bytes"
        better["handshakes"] = better["requests"] = "higher"; better["idle"] = "lower"
        while ((getline line < table) > 0) {
            n = split(line, part, ";")
            order[++peers] = part[1]; label[part[1]] = part[2]; kind[part[1]] = part[3]
        }
    }
    { value[$1, $2, $3] = $4; if ($3 > last) last = $3 }
    END {
        m = split(figures, figure_list, " ")
        for (f = 1; f <= m; f++) {
            figure = figure_list[f]
            best = ""; best_middle = 0
            if (!json) printf "\n%s, %s (%s is better)\n%-27s %12s %12s %12s  %s\n", title[figure], unit[figure], \
                better[figure], "", "median", "least", "most", "weir / it"
            have_weir = gather(figure, "weir")
            if (!json && have_weir) row("weir", figure, "")
            if (!json && !have_weir) print "weir: its benchmark gave no figure"
            for (p = 1; p <= peers; p++) {
                name = order[p]
                if (!gather(figure, name)) continue
                if (kind[name] == "udp" && middle > best_middle) { best = name; best_middle = middle }
                ratio = ratio_to(figure, name)
                if (!json) row(label[name], figure, (ratio > 0 ? sprintf("%.2f", ratio) : "-"))
                if (json) emit("peers: " label[name] ": " title[figure], figure, "", 0, 0, 0)
                if (json && have_weir && gather(figure, "weir")) emit(title[figure], figure, label[name], ratio, 0, 0)
            }
            if (figure != "bulk" || best == "" || !have_weir) continue
            ratio = ratio_to(figure, best)
            gather(figure, "weir")
            if (json) emit(title[figure], figure, "fastest encrypted UDP peer (" label[best] ")", ratio, 1.3, 2.2)
            else printf "bulk, weir / fastest encrypted UDP peer (%s) = %.2f; must 1.3, aim 2.2: %s\n", label[best], \
                ratio, (ratio >= 2.2 ? "reaches the aim" : (ratio >= 1.3 ? "holds" : "FALLS SHORT"))
        }
    }' "$values"
tell "# peers: it took $(($(date +%s) - begun)) s"
