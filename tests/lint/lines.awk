# SPDX-License-Identifier: MIT
# See lines.sh. The locale is C, so bytes that continue a character of UTF-8 are taken out before counting.
FNR == 1 && !/SPDX-License-Identifier: MIT/ { report("the first line is the licence: /* SPDX-License-Identifier: MIT */") }
/\t/ { report("a tab; indent with 4 spaces") }
/[ \t]$/ { report("space at the end of the line") }
length($0) > 100 {
    text = $0
    gsub(/[\200-\277]/, "", text)
    if (length(text) > 100) report(length(text) " columns, more than 100")
}
END { exit bad > 0 }
