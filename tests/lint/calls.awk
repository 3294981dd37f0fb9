# SPDX-License-Identifier: MIT
# See calls.sh.
BEGIN {
    ban("malloc calloc realloc free strdup strndup aligned_alloc posix_memalign alloca sodium_malloc sodium_free", \
        "memory comes through struct mem")
    ban("time clock clock_gettime gettimeofday localtime gmtime strftime", "time is a parameter")
    ban("sleep usleep nanosleep poll select epoll_wait", "the engine never waits")
    ban("rand random srand srandom rand_r drand48 getrandom getentropy arc4random randombytes_buf randombytes " \
        "randombytes_random randombytes_uniform", "randomness is a parameter")
    ban("getenv secure_getenv setenv system popen exit _exit signal sigaction fork", "the engine has no process")
    ban("socket bind listen accept connect send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg setsockopt " \
        "getsockopt getaddrinfo ioctl", "datagrams are parameters")
    ban("open openat fopen fclose fread fwrite unlink rename mmap", "files belong to host")
    ban("printf fprintf vprintf vfprintf puts fputs putchar perror", "the engine prints nothing; use base/log.h")
    ban("setlocale strtod atof", "the engine has no locale and no floating point")
}

function ban(list, reason,    i, n, word) {
    n = split(list, word, " ")
    for (i = 1; i <= n; i++) why[word[i]] = reason
}

function allowed(name) {
    if (FILENAME == "core/base/mem.c") return name == "malloc" || name == "realloc" || name == "free"
    # The system's generator, which host hands in; the check below keeps everybody else from it.
    if (FILENAME == "core/crypto/secret.c") return name == "randombytes_buf"
    return FILENAME == "core/base/assert.h" && name == "fprintf"
}

{
    code = strip($0)
    if (code ~ /^[ \t]*#[ \t]*include/) next
    if ((" " code " ") ~ /[^A-Za-z0-9_](float|double)[^A-Za-z0-9_]/) report("the engine computes in integers")
    if (code ~ /(^|[^A-Za-z0-9_.])[0-9]+\.[0-9]/) report("the engine computes in integers")
    if (code ~ /entropy_system_fill/ && FILENAME !~ /^core\/crypto\/secret\.[ch]$/)
        report("randomness is a parameter: only host takes the system's")
    if (code ~ /(^|[^A-Za-z0-9_])pthread_/) report("the engine has no threads")
    rest = code
    before = " "
    while (match(rest, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        name = substr(rest, RSTART, RLENGTH)
        if (RSTART > 1) before = substr(rest, RSTART - 1, 1)
        sub(/[ \t]*\($/, "", name)
        # A member of that name (x.free(), x->send()) is a struct's own operation.
        if (name in why && before !~ /[.>0-9]/ && !allowed(name)) report(name "(): " why[name])
        rest = substr(rest, RSTART + RLENGTH)
        before = "("
    }
}

END { exit bad > 0 }
