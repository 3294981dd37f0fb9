/* SPDX-License-Identifier: MIT */
#include "bench.h"
#include "weir.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_DEFAULT = 5, CHILDREN_MAX = 64 };

struct bench bench;
static pid_t children[CHILDREN_MAX];

void bench_say(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vfprintf(bench.json ? stderr : stdout, format, list);
    va_end(list);
    fflush(bench.json ? stderr : stdout);
}

void bench_die(const char *format, ...)
{
    va_list list;
    fprintf(stderr, "%s: ", bench.program != NULL ? bench.program : "bench");
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n");
    for (int i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] > 0) (void)kill(children[i], SIGKILL);
    }
    exit(1);
}

double bench_now(void)
{
    return (double)bench_now_ns() / 1e9;
}

uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- options */

static void help(const char *about, const struct bench_option *options)
{
    printf("%s [options]\n\n%s\n\n"
           "  --json          one JSON line per figure; everything else goes to stderr\n"
           "  --quick         one tiny round: shows that it runs, measures nothing\n"
           "  --rounds N      rounds, of which the median counts; %d, at most %d\n"
           "  --help          this\n",
           bench.program, about, ROUNDS_DEFAULT, BENCH_ROUNDS_MAX);
    for (const struct bench_option *o = options; o != NULL && o->name != NULL; o++)
        printf("  %-15s %s\n", o->name, o->help);
    exit(0);
}

static uint64_t number(const char *name, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno == 0 && end != text && *end == 0 && *text != '-') return value;
    fprintf(stderr, "%s: %s takes a number, not '%s'\n", bench.program, name, text);
    exit(2);
}

static int own(int argc, char **argv, int i, const struct bench_option *o)
{
    for (; o != NULL && o->name != NULL; o++) {
        if (strcmp(argv[i], o->name) != 0) continue;
        if (o->flag != NULL) {
            *o->flag = true;
            return i;
        }
        if (i + 1 == argc) break;
        if (o->number != NULL) *o->number = number(o->name, argv[i + 1]);
        if (o->text != NULL) *o->text = argv[i + 1];
        return i + 1;
    }
    fprintf(stderr, "%s: '%s' is not understood; --help says what is\n", bench.program, argv[i]);
    exit(2);
}

static void cpu_model(char *text, size_t cap)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(text, cap, "CPU unknown");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL) continue;
        line[strcspn(line, "\n")] = 0;
        snprintf(text, cap, "%s", colon + 2);
        break;
    }
    if (f != NULL) fclose(f);
}

static void say_machine(const char *extra)
{
    char model[128];
    struct utsname u;
    cpu_model(model, sizeof model);
    memset(&u, 0, sizeof u);
    (void)uname(&u);
    bench_say("# %s: %ld cores, %s, %s %s\n", bench.program, sysconf(_SC_NPROCESSORS_ONLN), model,
              u.sysname, u.release);
#if defined(__clang__)
    bench_say("# weir %s, " __VERSION__ "\n", weir_version());
#else
    bench_say("# weir %s, gcc " __VERSION__ "\n", weir_version());
#endif
    if (extra != NULL) bench_say("# %s\n", extra);
}

void bench_begin(int argc, char **argv, const char *about, const struct bench_option *options,
                 const char *extra)
{
    const char *slash = strrchr(argv[0], '/');
    uint64_t rounds = ROUNDS_DEFAULT;
    bench.program = slash != NULL ? slash + 1 : argv[0];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            help(about, options);
        } else if (strcmp(argv[i], "--json") == 0) {
            bench.json = true;
        } else if (strcmp(argv[i], "--quick") == 0) {
            bench.quick = true;
        } else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) {
            rounds = number("--rounds", argv[++i]);
        } else {
            i = own(argc, argv, i, options);
        }
    }
    if (bench.quick) rounds = 1;
    bench.rounds = rounds < 1 ? 1 : rounds > BENCH_ROUNDS_MAX ? BENCH_ROUNDS_MAX : (unsigned)rounds;
    (void)signal(SIGPIPE, SIG_IGN);
    say_machine(extra);
}

/* ---- figures */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bench_add(struct bench_series *s, double value)
{
    if (s->count < BENCH_ROUNDS_MAX) s->value[s->count++] = value;
}

double bench_percentile(double *values, size_t count, double part)
{
    if (count == 0) return 0;
    qsort(values, count, sizeof values[0], compare);
    size_t at = (size_t)((double)count * part);
    return values[at < count ? at : count - 1];
}

double bench_median(const struct bench_series *s)
{
    struct bench_series copy = *s;
    return bench_percentile(copy.value, copy.count, 0.5);
}

static double ratio_of(const struct bench_series *s, const struct bench_series *against)
{
    struct bench_series ratios = {.count = 0};
    if (against->count != s->count) {
        double reference = bench_median(against);
        return reference > 0 ? bench_median(s) / reference : 0;
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (against->value[i] > 0) bench_add(&ratios, s->value[i] / against->value[i]);
    }
    return bench_median(&ratios);
}

static void print_json(const struct bench_figure *f, double value, double ratio, unsigned n,
                       double low, double high)
{
    printf("{\"figure\":\"%s\",\"value\":%.4f,\"unit\":\"%s\",\"against\":\"%s\","
           "\"ratio\":%.4f,\"must\":%.4f,\"aim\":%.4f,\"better\":\"%s\",\"n\":%u,"
           "\"min\":%.4f,\"max\":%.4f}\n",
           f->figure, value, f->unit, f->against != NULL ? f->against : "", ratio, f->must, f->aim,
           f->is_lower_better ? "lower" : "higher", n, low, high);
}

static const char *verdict(const struct bench_figure *f, double judged)
{
    bool lower = f->is_lower_better;
    if (lower ? judged <= f->aim : judged >= f->aim) return "reaches the aim";
    return (lower ? judged <= f->must : judged >= f->must) ? "holds" : "FALLS SHORT";
}

static void print(const struct bench_figure *f, const struct bench_series *s, double ratio)
{
    double value = bench_median(s), low = value, high = value;
    for (unsigned i = 0; i < s->count; i++) {
        if (s->value[i] < low) low = s->value[i];
        if (s->value[i] > high) high = s->value[i];
    }
    if (bench.json) {
        print_json(f, value, ratio, s->count, low, high);
    } else {
        printf("%-44s %10.3f %-8s (%.3f to %.3f, n %u)", f->figure, value, f->unit, low, high,
               s->count);
        if (f->against != NULL) printf(" = %.3f of %s", ratio, f->against);
        if (f->must > 0)
            printf("; must %g, aim %g: %s", f->must, f->aim,
                   verdict(f, f->against != NULL ? ratio : value));
        printf("\n");
    }
    fflush(stdout);
}

void bench_report(const struct bench_figure *figure, const struct bench_series *s,
                  const struct bench_series *against)
{
    print(figure, s, against != NULL ? ratio_of(s, against) : 0);
}

void bench_report_number(const struct bench_figure *figure, const struct bench_series *s,
                         double against)
{
    print(figure, s, bench_median(s) / against);
}

/* ---- processes */

void bench_pin(unsigned core)
{
    cpu_set_t set;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    CPU_ZERO(&set);
    CPU_SET(core % (unsigned)(cores > 0 ? cores : 1), &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

uint64_t bench_raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max;
}

struct bench_child bench_fork(void (*work)(int fd, void *context), void *context)
{
    int ends[2], slot = 0;
    struct bench_child child;
    while (slot < CHILDREN_MAX && children[slot] != 0) slot++;
    if (slot == CHILDREN_MAX || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        bench_die("no room for another process: %s", strerror(errno));
    fflush(NULL);
    child.pid = fork();
    if (child.pid < 0) bench_die("fork: %s", strerror(errno));
    if (child.pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        memset(children, 0, sizeof children);
        close(ends[0]);
        work(ends[1], context);
        _exit(0);
    }
    close(ends[1]);
    children[slot] = child.pid;
    child.fd = ends[0];
    return child;
}

void bench_reap(struct bench_child *child)
{
    (void)kill(child->pid, SIGKILL);
    (void)waitpid(child->pid, NULL, 0);
    close(child->fd);
    for (int i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] == child->pid) children[i] = 0;
    }
}

void bench_tell(int fd, const void *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0 && errno == EINTR) continue;
        if (n <= 0) bench_die("the other process is gone");
        data = (const char *)data + n;
        len -= (size_t)n;
    }
}

void bench_hear(int fd, void *data, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(fd, data, len, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) bench_die("the other process is gone");
        data = (char *)data + n;
        len -= (size_t)n;
    }
}
