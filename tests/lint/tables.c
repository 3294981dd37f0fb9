/* SPDX-License-Identifier: MIT */
/* Prints docs/metrics.md or docs/limits.md from the table that the library is compiled from: see
 * tables.sh. The first argument says which. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

static void print_lower(const char *word)
{
    for (; *word != 0; word++) putchar(tolower((unsigned char)*word));
}

static void print_metric(const char *name, const char *kind, const char *unit, const char *help)
{
    printf("| `%s` | ", name);
    print_lower(kind);
    printf(" | %s | %s |\n", unit, help);
}

static void print_metrics(void)
{
    puts("# Metrics\n\n"
         "Written by `sh tests/lint/tables.sh --update` from core/observe/metrics.def.\n\n"
         "Counters only grow, from the start of the node; rates are the reader's work. Gauges are\n"
         "levels. `weir_node_metric` gives each by its number, which is its place here, from 0.\n\n"
         "| name | kind | unit | what it counts |\n|---|---|---|---|");
#define METRIC(id, name, kind, unit, help) print_metric(name, #kind, unit, help);
#include "observe/metrics.def"
#undef METRIC
}

static void print_limit(const char *name, const char *scope, unsigned long long value,
                        const char *unit, const char *why)
{
    printf("| `%s` | ", name);
    print_lower(scope);
    if (value != 0)
        printf(" | %llu", value);
    else
        printf(" | derived");
    printf(" | %s | %s |\n", unit, why);
}

static void print_limits(void)
{
    puts("# Limits\n\n"
         "Written by `sh tests/lint/tables.sh --update` from core/limits/limits.def.\n\n"
         "Everything that a peer can make a node count has a limit. Those that are derived\n"
         "follow from the memory budget and the peer count (core/limits/limits.c); the first\n"
         "windows are never larger than the windows. The name is what `weir_error.limit_name`\n"
         "says when one is reached.\n\n"
         "| name | of each | default | unit | why |\n|---|---|---|---|---|");
#define LIMIT(id, name, scope, value, unit, why) print_limit(name, #scope, value, unit, why);
#include "limits/limits.def"
#undef LIMIT
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "metrics") == 0)
        print_metrics();
    else if (argc == 2 && strcmp(argv[1], "limits") == 0)
        print_limits();
    else
        return 2;
    return 0;
}
