# SPDX-License-Identifier: MIT
# Function declarations of a preprocessed header, one per line, without attributes. Types, their braces and enums
# are skipped, so what is left between semicolons and has weir_name( is a declaration.
{ text = text " " $0 }

END {
    n = length(text)
    depth = 0
    for (i = 1; i <= n; i++) {
        c = substr(text, i, 1)
        if (c == "{") depth++
        else if (c == "}") depth--
        else if (depth == 0) {
            if (c == ";") { declaration(statement); statement = "" }
            else statement = statement c
        }
    }
}

function declaration(s,    open, i, n, c) {
    while (match(s, /__attribute__[ \t]*\(\(/)) {
        n = length(s)
        open = 0
        for (i = RSTART + RLENGTH - 2; i <= n; i++) {
            c = substr(s, i, 1)
            if (c == "(") open++
            if (c == ")" && --open == 0) break
        }
        s = substr(s, 1, RSTART - 1) substr(s, i + 1)
    }
    gsub(/[ \t]+/, " ", s)
    sub(/^ /, "", s)
    sub(/ $/, "", s)
    sub(/^extern /, "", s)
    if (s ~ /^typedef/ || s !~ /weir_[a-z0-9_]+ ?\(/) return
    print s
}
