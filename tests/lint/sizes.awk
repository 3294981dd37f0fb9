# SPDX-License-Identifier: MIT
# See sizes.sh. A function is what stands between a { and a } in the first column, as .clang-format lays it out.
BEGIN { lines_warn = 600; lines_fail = 700; header_fail = 2500; function_fail = 70 }

function end_of_file(    most) {
    most = file == "core/include/weir.h" ? header_fail : lines_fail
    if (count > most) {
        print file ": " count " lines; cut it by concern (at most " most ")"
        bad++
    } else if (count > lines_warn && most == lines_fail) {
        print file ": warning: " count " lines; over " lines_warn " needs a reason in review"
    }
}

FNR == 1 { if (file != "") end_of_file(); file = FILENAME; open = 0; name = "?"; is_c = file ~ /\.[ch]$/ }
{ count = FNR }

is_c && !open && /^[A-Za-z_].*\(/ && !/;[ \t]*$/ { name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
is_c && !open && /^[A-Za-z_].*\).*\{[ \t]*$/ && !/=[^=]*\{[ \t]*$/ && !/^(struct|union|enum|typedef|extern "C")/ {
    report("the brace of a function stands on its own line: " name)
}
is_c && /^\{/ { open = FNR; exempt = 0; next }
open && FNR == open + 1 && /\/\*[ ]*long:/ { exempt = 1 }
open && /^\}/ {
    if (!exempt && FNR - open - 1 > function_fail)
        report(name " has " (FNR - open - 1) " lines, more than " function_fail)
    open = 0
}

END { if (file != "") end_of_file(); exit bad > 0 }
