# SPDX-License-Identifier: MIT
# See floors.sh.
BEGIN {
    split("base crypto identity address observe limits transport", low, " ")
    for (i in low) rank[low[i]] = i + 0
    rank["quic"] = rank["libp2p"] = rank["loop"] = 8
    rank["node"] = 9
    rank["host"] = rank["sim"] = 10
    rank["api"] = 11
    engine_max = 9
}

FNR == 1 {
    split(FILENAME, part, "/")
    from = part[1] == "core" ? part[2] : ""
    area = part[1]
}

{ code = strip($0) }

code ~ /^[ \t]*#[ \t]*include/ {
    system_header = $0 ~ /include[ \t]*</
    name = $0
    sub(/^[^<"]*[<"]/, "", name)
    sub(/[>"].*$/, "", name)
    check(name)
}

function check(name,    folder) {
    if (FILENAME == "core/include/weir.h") {
        if (name != "stdint.h" && name != "stddef.h")
            report("weir.h includes " name "; only stdint.h and stddef.h are in every C99")
        return
    }
    if (name == "uv.h" && from != "host") report("uv.h belongs to core/host")
    if (name ~ /^sodium/ && from != "crypto") report("sodium.h belongs to core/crypto")
    if (name ~ /^(lua|lauxlib|lualib|luaconf)\.h$/ && FILENAME !~ /^lua\/runtime\//)
        report("lua.h belongs to lua/runtime")
    if (system_header) {
        if (from in rank && rank[from] <= engine_max && name ~ \
            /^(sys\/|netinet\/|arpa\/|net\/|linux\/|time\.h|unistd\.h|pthread\.h|threads\.h|fcntl\.h|signal\.h|poll\.h|math\.h|float\.h|netdb\.h|locale\.h)/)
            report("the engine does no I/O and has no clock: " name)
        return
    }
    if (name == "weir.h") return
    if (name ~ /\.\.\//) {
        report("name the folder from core/ instead of " name)
        return
    }
    folder = name
    if (!sub(/\/.*$/, "", folder)) folder = ""
    if (area != "core") {
        if (folder in rank || folder == "core") report(area " includes weir.h and nothing else of core: " name)
        return
    }
    if (!(folder in rank)) report("not a floor: \"" name "\"")
    else if (!(from in rank) || folder == from) return
    else if (rank[folder] >= rank[from]) report(from " includes " folder ", which is not below it")
    else if (from == "node" && rank[folder] == 8) report("node knows no transport by name: " name)
}

END { exit bad > 0 }
