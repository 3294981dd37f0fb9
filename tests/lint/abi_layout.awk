# SPDX-License-Identifier: MIT
# C statements that print size and fields of every struct weir_* of a preprocessed header. The ABI's structs are
# flat (docs/style.md, section 7): a struct or union inside one is an error here, not a gap in the dump.
{ text = text " " $0 }

END {
    gsub(/[ \t]+/, " ", text)
    n_structs = 0
    while (match(text, /struct weir_[a-z0-9_]+ ?\{/)) {
        name = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        sub(/ ?\{$/, "", name)
        end = index(text, "}")
        body = substr(text, 1, end - 1)
        text = substr(text, end + 1)
        if (body ~ /\{/) {
            print "abi: " name " is not flat" > "/dev/stderr"
            exit 1
        }
        structs[++n_structs] = name
        bodies[name] = body
    }
    for (i = 2; i <= n_structs; i++)
        for (j = i; j > 1 && structs[j] < structs[j - 1]; j--) {
            swap = structs[j]; structs[j] = structs[j - 1]; structs[j - 1] = swap
        }
    for (i = 1; i <= n_structs; i++) dump(structs[i], bodies[structs[i]])
}

function dump(name, body,    n, field, i) {
    printf "    printf(\"%s size %%zu\\n\", sizeof(%s));\n", name, name
    n = split(body, field, ";")
    for (i = 1; i <= n; i++) if (field[i] ~ /[a-z]/) members(name, field[i])
}

# One declaration: a function pointer, or a type with one or more names. The type is the words before the first name.
function members(name, field,    n, item, i, type, one, array) {
    sub(/^ /, "", field)
    sub(/ $/, "", field)
    if (match(field, /\( ?\* ?[a-z0-9_]+ ?\)/)) {
        one = substr(field, RSTART, RLENGTH)
        gsub(/[(*) ]/, "", one)
        member(name, field, one)
        return
    }
    n = split(field, item, ",")
    type = item[1]
    sub(/[ *]*[a-zA-Z0-9_]+ ?(\[.*)?$/, "", type)
    for (i = 1; i <= n; i++) {
        one = item[i]
        if (i == 1) one = substr(one, length(type) + 1)
        array = ""
        if (match(one, /\[.*/)) { array = substr(one, RSTART); one = substr(one, 1, RSTART - 1) }
        stars = one
        gsub(/[^*]/, "", stars)
        gsub(/[ *]/, "", one)
        gsub(/ /, "", array)
        member(name, type (stars == "" ? "" : " " stars) array, one)
    }
}

function member(name, type, field) {
    printf "    printf(\"    %%3zu %%3zu %s %s\\n\", offsetof(%s, %s), sizeof(((%s *)0)->%s));\n",
        type, field, name, field, name, field
}
