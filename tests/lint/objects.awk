# SPDX-License-Identifier: MIT
# See objects.sh. Reads objdump -t: address, seven columns of flags, section, size, name. Constant tables of pointers
# stand in .data.rel.ro, which the loader makes read-only, so that section is no state.
BEGIN {
    list = "malloc calloc realloc free strdup strndup aligned_alloc posix_memalign sodium_malloc " \
        "time clock clock_gettime gettimeofday nanosleep clock_nanosleep usleep sleep poll ppoll select epoll_wait " \
        "rand random srand srandom getrandom getentropy arc4random randombytes randombytes_buf randombytes_random " \
        "randombytes_uniform getenv secure_getenv system popen fork exit _exit signal sigaction __errno_location " \
        "socket bind listen accept connect send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg setsockopt " \
        "getsockopt getaddrinfo ioctl open open64 openat fopen fopen64 fclose fread read write close unlink rename " \
        "mmap mmap64 munmap printf vprintf puts putchar fputs perror stdout stdin __printf_chk strtod atof setlocale"
    n = split(list, word, " ")
    for (i = 1; i <= n; i++) banned[word[i]] = 1
}

/file format/ { object = $1; sub(/:$/, "", object); next }

{
    # Sections and names hold no space; the size is the field before the name.
    name = $NF
    section = ""
    for (i = 2; i <= NF; i++) if ($i ~ /^(\.|\*)/) { section = $i; break }
    if (section == "*UND*") {
        if (object ~ /^mem\.c\.o$/ && name ~ /^(malloc|realloc|calloc|free)$/) next
        if (object ~ /^secret\.c\.o$/ && name == "randombytes_buf") next
        if (name in banned || name ~ /^pthread_/) say("calls " name)
    } else if (section == "*COM*" || (section ~ /^\.(data|bss|tdata|tbss)/ && section !~ /^\.data\.rel\.ro/)) {
        if (name != section && name !~ /^\./) say("has a writable variable: " name)
    }
}

function say(text) {
    printf "core/%s/%s: %s\n", floor, object, text
    bad++
}

END { exit bad > 0 }
