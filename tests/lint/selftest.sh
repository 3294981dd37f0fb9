# SPDX-License-Identifier: MIT
# A lint that cannot fail is worth nothing: each one passes a small good tree here, then finds the violation that is
# planted into it. One line per case: what was planted, and whether the lint said so.
set -eu
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cases=0
failures=0
licence='/* SPDX-License-Identifier: MIT */'

# A good tree: a lower floor, a higher one, the header, a library of them, its ABI dump.
good_tree() {
    rm -rf "$scratch/tree"
    mkdir -p "$scratch/tree/core/include" "$scratch/tree/tests/unit/base" "$scratch/tree/examples/c"
    cd "$scratch/tree"
    for floor in base crypto node host quic api; do mkdir -p core/$floor; done
    plant core/include/weir.h "$licence" '#ifndef WEIR_H' '#define WEIR_H' '#include <stddef.h>' '#include <stdint.h>' \
        '#define WEIR_API __attribute__((visibility("default")))' '#define WEIR_SIZE_MAX 7u' \
        'typedef struct weir_thing {' '    uint32_t size; /**< bytes; float is a word here */' '    char name[12];' \
        '} weir_thing;' '#ifdef __cplusplus' 'extern "C" {' '#endif' 'WEIR_API int32_t weir_thing_get(weir_thing *thing);' \
        '#ifdef __cplusplus' '}' '#endif' '#endif'
    plant core/base/mem.h "$licence" '#include <stddef.h>' 'void *mem_get(size_t size);'
    plant core/base/mem.c "$licence" '#include "base/mem.h"' '#include <stdlib.h>' \
        'static const char *const mem_names[] = {"a", "b"};' 'void *mem_get(size_t size)' '{' \
        '    /* malloc(2.5) in a comment is no call. */' '    return mem_names[size & 1] ? malloc(size) : NULL;' '}'
    plant core/api/api.c "$licence" '#include "base/mem.h"' '#include "weir.h"' \
        'int32_t weir_thing_get(weir_thing *thing)' '{' '    return thing && mem_get(thing->size) ? 0 : -1;' '}'
    plant tests/unit/base/mem_test.c "$licence" 'int main(void)' '{' '    return 0;' '}'
    cd "$scratch/tree"
}

# plant FILE LINE...: write a file of the tree.
plant() {
    file=$1
    shift
    mkdir -p "$(dirname "$file")"
    printf '%s\n' "$@" >"$file"
}

# compile: the libraries as the real build lays them out.
compile() {
    rm -rf build
    mkdir -p build
    objects=
    for source in core/*/*.c; do
        floor=$(basename "$(dirname "$source")")
        mkdir -p build/core/"$floor"
        object=build/core/$floor/$(basename "$source").o
        ${CC:-cc} -std=c11 -D_GNU_SOURCE -w -O1 -fPIC -fvisibility=hidden -Icore -Icore/include -c "$source" -o "$object"
        ar rc build/core/"$floor"/libweir_"$floor"_archive.a "$object"
        objects="$objects $object"
    done
    # shellcheck disable=SC2086
    ${CC:-cc} -shared $objects ${1:-} -o build/libweir.so
    # shellcheck disable=SC2086
    ld -r $objects -o build/weir.o
    objcopy --localize-hidden build/weir.o
    ar rc build/libweir.a build/weir.o
}

# passes LINT: the lint has nothing to say.
passes() {
    cases=$((cases + 1))
    if sh "$here/$1.sh" "$scratch/tree" >"$scratch/said" 2>&1; then
        echo "ok      $1 passes a good tree"
    else
        failures=$((failures + 1))
        echo "NOT OK  $1 fails a good tree:"
        sed 's/^/            /' "$scratch/said"
    fi
}

# finds LINT PATTERN: the lint fails and says something that matches.
finds() {
    cases=$((cases + 1))
    if ! sh "$here/$1.sh" "$scratch/tree" >"$scratch/said" 2>&1 && grep -qE -e "$2" "$scratch/said"; then
        echo "ok      $1 finds $2"
    else
        failures=$((failures + 1))
        echo "NOT OK  $1 does not find $2; it said:"
        sed 's/^/            /' "$scratch/said"
    fi
    good_tree
}

# repeat COUNT LINE: the line so many times.
repeat() {
    awk -v n="$1" -v line="$2" 'BEGIN { for (i = 0; i < n; i++) print line }'
}

good_tree
compile
sh "$here/abi.sh" --update "$scratch/tree" >/dev/null
for lint in floors sizes lines calls waits marks header symbols objects abi; do passes $lint; done
cp -r docs build "$scratch"

plant core/base/up.c "$licence" '#include "node/node.h"'
finds floors 'base includes node, which is not below it'
plant core/quic/side.c "$licence" '#include "loop/loop.h"'
finds floors 'quic includes loop, which is not below it'
plant core/node/knows.c "$licence" '#include "quic/conn.h"'
finds floors 'node knows no transport by name'
plant core/node/uv.c "$licence" '#include <uv.h>'
finds floors 'uv.h belongs to core/host'
plant core/node/sodium.c "$licence" '#include <sodium.h>'
finds floors 'sodium.h belongs to core/crypto'
plant core/host/lua.c "$licence" '#include <lua.h>'
finds floors 'lua.h belongs to lua/runtime'
plant core/base/clock.c "$licence" '#include <time.h>'
finds floors 'the engine does no I/O'
plant core/base/dots.c "$licence" '#include "../base/mem.h"'
finds floors 'name the folder'
plant core/base/near.c "$licence" '#include "mem.h"'
finds floors 'not a floor: "mem.h"'
plant examples/c/deep.c "$licence" '#include "base/mem.h"'
finds floors 'examples includes weir.h and nothing else'
echo '#include <stdbool.h>' >>core/include/weir.h
finds floors 'weir.h includes stdbool.h'

{ echo "$licence"; repeat 700 'int x;'; } >core/base/long.c
finds sizes 'long.c: 701 lines'
{ echo "$licence"; repeat 601 'int x;'; } >core/base/warned.c
passes sizes
grep -q 'warned.c: warning: 602 lines' "$scratch/said" || { echo "NOT OK  sizes does not warn"; failures=$((failures + 1)); }
good_tree
repeat 2501 'int x;' >core/include/weir.h
finds sizes 'weir.h: 2501 lines'
{ echo "$licence"; echo 'int mem_long(int x)'; echo '{'; repeat 71 '    x++;'; echo '}'; } >core/base/function.c
finds sizes 'mem_long has 71 lines'
{ echo "$licence"; echo 'int mem_long(int x)'; echo '{'; echo '    /* long: one switch */'; repeat 90 '    x++;'
  echo '}'; } >core/base/function.c
passes sizes
good_tree
plant core/base/brace.c "$licence" 'int mem_brace(int x) {' '    return x;' '}'
finds sizes 'brace of a function stands on its own line: mem_brace'

plant core/base/plain.c 'int x;'
finds lines 'the first line is the licence'
printf '%s\n\tint x;\n' "$licence" >core/base/tab.c
finds lines 'tab.c:2: a tab'
plant core/base/space.c "$licence" 'int x; '
finds lines 'space at the end'
{ echo "$licence"; printf '/* %098d */\n' 0; } >core/base/wide.c
finds lines '104 columns'

for call in 'malloc(3)' 'free(p)' 'time(NULL)' 'clock_gettime(0, p)' 'rand()' 'getenv("A")' 'sendmsg(1, p, 0)' \
    'pthread_create(p, p, p, p)' 'printf("x")' 'usleep(3)' 'open("x", 0)'; do
    plant core/node/call.c "$licence" 'void node_f(void *p)' '{' "    $call;" '}'
    finds calls "core/node/call.c:4: ($(printf %s "$call" | sed 's/(.*//')|the engine has no threads)"
done
plant core/node/secret.c "$licence" 'struct entropy e = {entropy_system_fill, 0};'
finds calls "only host takes the system's"
plant core/node/real.c "$licence" 'double node_share;'
finds calls 'the engine computes in integers'
plant core/node/real.c "$licence" 'int node_share = 3 * 1.5;'
finds calls 'real.c:2: the engine computes in integers'
plant core/node/member.c "$licence" 'void node_f(struct x *p)' '{' '    p->send(p);' '    p->ops.free(p);' '    node_free(p);' '}'
passes calls
good_tree

plant tests/unit/base/slow_test.c "$licence" 'void f(void)' '{' '    usleep(10);' '}'
finds waits 'slow_test.c:4: a test does not sleep'
plant tests/sim/slow_test.c "$licence" 'void f(void)' '{' '    poll(p, 1, 100);' '}'
finds waits 'does not wait a constant time'
plant tests/sim/slow_test.c "$licence" 'void f(void)' '{' '    poll(of(p), 1, 100);' '}'
finds waits 'does not wait a constant time'
plant tests/sim/slow_test.c "$licence" 'void f(void)' '{' '    alarm(3);' '}'
finds waits 'a test does not sleep'
plant tests/unit/base/clock_test.c "$licence" 'long f(void)' '{' '    return time(0);' '}'
finds waits 'time is virtual'

plant core/base/left.c "$licence" "/* TO""DO: finish */"
finds marks 'left.c:2:'
plant core/base/place.c "$licence" "const char *p = \"/ho""me/somebody/x\";"
finds marks 'place.c:2:'
plant README.md "see /wo""rk/main"
finds marks 'README.md:1:'
plant package.json "\"resol""ved\": \"https://example.org\""
finds marks 'package.json:1:'
plant core/base/merge.c '<<<<<<< HEAD'
finds marks 'merge.c:1:'

echo 'WEIR_API int weir_old();' >>core/include/weir.h
plant core/include/weir.h "$licence" 'inline int weir_f(void) { return 0; }' 'inline int weir_f(void) { return 0; }'
finds header 'does not compile as c99'
plant core/include/weir.h "$licence" '#include <stdint.h>' 'typedef struct weir_x { int class; } weir_x;'
finds header 'does not compile as c\+\+17'

plant core/api/leak.c "$licence" '__attribute__((visibility("default"))) int ring_leak(void)' '{' '    return 1;' '}'
compile
finds symbols 'libweir.so exports more than weir_\*: ring_leak'
plant core/api/leak.c "$licence" '__attribute__((visibility("default"))) int weir_secret(void)' '{' '    return 1;' '}'
compile
finds symbols 'exports weir_secret, which weir.h does not declare'
sed 's/^WEIR_API.*/&\nWEIR_API int weir_promised(void);/' core/include/weir.h >new && mv new core/include/weir.h
compile
finds symbols 'weir.h declares weir_promised, which libweir.so does not export'
{ echo "$licence"; awk 'BEGIN { for (i = 0; i < 121; i++)
    print "__attribute__((visibility(\"default\"))) int weir_f" i "(void)\n{\n    return 1;\n}" }'; } >core/api/many.c
compile
finds symbols '122 functions, more than 120'

plant core/base/state.c "$licence" 'static int count;' 'int state_next(void)' '{' '    return count++;' '}'
compile
finds objects 'core/base/state.c.o: has a writable variable: count'
plant core/base/state.c "$licence" 'int state_next(void)' '{' '    static int n = 3;' '    return n++;' '}'
compile
finds objects 'has a writable variable: n'
plant core/node/hidden.c "$licence" '#include <time.h>' '#define now() time(0)' 'long node_now(void)' '{' '    return now();' '}'
compile
finds objects 'core/node/hidden.c.o: calls time'

cp -r "$scratch/docs" "$scratch/build" .
passes abi
sed 's/MAX 7u/MAX 8u/' core/include/weir.h >new && mv new core/include/weir.h
finds abi '\+WEIR_SIZE_MAX 8'
cp -r "$scratch/docs" "$scratch/build" .
sed 's/name\[12\]/name[16]/' core/include/weir.h >new && mv new core/include/weir.h
finds abi '\+ *4 +16 char\[16\] name'
cp -r "$scratch/docs" "$scratch/build" .
sed 's/int32_t weir_thing_get/int64_t weir_thing_get/' core/include/weir.h >new && mv new core/include/weir.h
finds abi '\+int64_t weir_thing_get'
cp -r "$scratch/docs" "$scratch/build" .
echo weir_gone >>docs/abi/symbols.txt
finds abi '^-weir_gone'
cp -r "$scratch/build" .
finds abi 'docs/abi/symbols.txt is missing'

plant core/observe/metrics.def 'METRIC(A, "weir_a_total", COUNTER, "times", "a happened")'
plant core/limits/limits.def 'LIMIT(A, "a", NODE, 3, "bytes", "b")'
sh "$here/tables.sh" --update "$scratch/tree" >/dev/null
passes tables
sed -i 's/, 3,/, 4,/' core/limits/limits.def
finds tables '\+\| `a` \| node \| 4'

echo "$cases cases, $failures failures"
[ $failures = 0 ]
