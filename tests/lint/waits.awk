# SPDX-License-Identifier: MIT
# See waits.sh. A wait for something (poll with descriptors) needs a variable deadline; a constant is a guess.
# alarm is allowed in watchdog.h alone: it ends a test that hangs.
FNR == 1 { real = FILENAME ~ /^tests\/(unit\/(host|api)|bench|hostile|install)\// }

{
    code = " " strip($0)
    if (code ~ /[^A-Za-z0-9_.>](sleep|usleep|nanosleep|clock_nanosleep|uv_sleep|thrd_sleep|pause|alarm)[ \t]*\(/)
        if (FILENAME !~ /(^|\/)tests\/unit\/host\/watchdog\.h$/) report("a test does not sleep")
    if (code ~ /[^A-Za-z0-9_.>]p?poll[ \t]*\(([^()]|\([^()]*\))*,[ \t]*[1-9][0-9]*[ \t]*\)/ ||
        code ~ /[^A-Za-z0-9_.>]p?poll[ \t]*\([ \t]*(NULL|0)[ \t]*,/ ||
        code ~ /[^A-Za-z0-9_.>]select[ \t]*\([ \t]*0[ \t]*,/)
        report("a test does not wait a constant time")
    if (!real && code ~ /[^A-Za-z0-9_.>](time|clock|clock_gettime|gettimeofday|uv_hrtime|uv_now)[ \t]*\(/)
        report("time is virtual in tests")
}

END { exit bad > 0 }
