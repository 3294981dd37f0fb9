# SPDX-License-Identifier: MIT
# The enumerators WEIR_* of a preprocessed header.
{ text = text " " $0 }

END {
    while (match(text, /enum[ \t]*[A-Za-z0-9_]*[ \t]*\{[^}]*\}/)) {
        body = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        sub(/^[^{]*\{/, "", body)
        sub(/\}$/, "", body)
        n = split(body, item, ",")
        for (i = 1; i <= n; i++) {
            name = item[i]
            sub(/=.*/, "", name)
            gsub(/[ \t]/, "", name)
            if (name ~ /^WEIR_/) print name
        }
    }
}
