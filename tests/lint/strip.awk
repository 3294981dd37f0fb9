# SPDX-License-Identifier: MIT
# strip(line): the line without comments, with strings and character constants emptied, so that a lint sees code
# only. Called once per line and in order: it remembers an open block comment (strip_open) across lines.
FNR == 1 { strip_open = 0 }

function strip(s,    out, i, n, c, two, quote) {
    if (!strip_open && s !~ /["'\/]/)
        return s
    out = ""
    n = length(s)
    quote = ""
    for (i = 1; i <= n; i++) {
        c = substr(s, i, 1)
        two = substr(s, i, 2)
        if (strip_open) {
            if (two == "*/") { strip_open = 0; i++ }
        } else if (quote != "") {
            if (c == "\\") i++
            else if (c == quote) { quote = ""; out = out c }
        } else if (two == "/*") {
            strip_open = 1
            out = out " "
            i++
        } else if (two == "//") {
            break
        } else {
            if (c == "\"" || c == "'") quote = c
            out = out c
        }
    }
    return out
}

# report(text): one violation, as a compiler would print it.
function report(text) {
    printf "%s:%d: %s\n", FILENAME, FNR, text
    bad++
}
