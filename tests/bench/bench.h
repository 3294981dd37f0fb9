/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_BENCH_H
#define WEIR_TESTS_BENCH_BENCH_H
/* What all benchmarks share: options, processes on cores of their own, medians of rounds, one line
 * per figure for people or for programs (--json). A figure that matters is a ratio against
 * something that was measured in the same run, round by round in turn: absolute numbers drift with
 * the machine and its neighbours, and a reference that ran minutes ago had others. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { BENCH_ROUNDS_MAX = 64 };

/** One value per round. */
struct bench_series {
    double value[BENCH_ROUNDS_MAX];
    unsigned count;
};

/** What a figure is and how it is judged. Where against is named, must and aim judge the ratio,
 *  else the value. */
struct bench_figure {
    const char *figure, *unit;
    const char *against;       /**< name of the reference; NULL: none */
    double must, aim;          /**< 0: not judged */
    bool is_lower_better;
};

/** An option of one program: exactly one of the pointers is set. */
struct bench_option {
    const char *name;          /**< with its dashes; NULL ends a table */
    const char *help;
    bool *flag;                /**< set to true */
    uint64_t *number;          /**< takes the next argument */
    const char **text;         /**< takes the next argument */
};

/** What every program is told. */
struct bench {
    const char *program;
    bool json;                 /**< --json: figures as lines of JSON, all else on stderr */
    bool quick;                /**< --quick: one tiny round, to see that it runs at all */
    unsigned rounds;           /**< --rounds N; 5 */
};
extern struct bench bench;

/** Read the arguments and say what machine this is. Ends the program for --help (0) and for what
 *  is not understood (2).
 *  @param about    a few sentences for --help
 *  @param options  the program's own, ended by a name of NULL; NULL: none
 *  @param extra    one more line about versions; NULL: none */
void bench_begin(int argc, char **argv, const char *about, const struct bench_option *options,
                 const char *extra);
/** A line for people: stdout, or stderr with --json. */
void bench_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Say why, and end the program and its children. */
_Noreturn void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

double bench_now(void);        /**< seconds, monotonic */
uint64_t bench_now_ns(void);

void bench_add(struct bench_series *s, double value);
double bench_median(const struct bench_series *s);
/** @param values  are sorted @param part 0.99: the 99th percentile @return 0 for none */
double bench_percentile(double *values, size_t count, double part);
/** Print a figure.
 *  @param against  what each round is divided by: the ratio is the median of the rounds' ratios,
 *                  or with another count of rounds that of the medians. NULL: no ratio */
void bench_report(const struct bench_figure *figure, const struct bench_series *s,
                  const struct bench_series *against);
/** The same for a reference that is a number, such as the rate of a simulated link. */
void bench_report_number(const struct bench_figure *figure, const struct bench_series *s,
                         double against);

/** Keep this thread on a core; the second of two may be the same one. */
void bench_pin(unsigned core);
/** Open descriptors up to the hard limit. @return that limit */
uint64_t bench_raise_files(void);

/** A process forked from this one. It is killed when this one ends. */
struct bench_child {
    pid_t pid;
    int fd;                    /**< a stream socket to it */
};
/** @param work  runs in the child with its end of the socket; the child ends when it returns */
struct bench_child bench_fork(void (*work)(int fd, void *context), void *context);
/** Kill it and wait for its end. */
void bench_reap(struct bench_child *child);
/** Write or read exactly len bytes, or die: a child that died shows here. */
void bench_tell(int fd, const void *data, size_t len);
void bench_hear(int fd, void *data, size_t len);
#endif
