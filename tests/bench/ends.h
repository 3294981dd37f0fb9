/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_ENDS_H
#define WEIR_TESTS_BENCH_ENDS_H
/* weir's side of the benchmarks, through weir.h alone. */
#include "bench.h"
#include "weir.h"

#define ENDS_PROTOCOL "bench"
enum { ENDS_EVENTS = 256 };

/** A negative result of weir ends the program. @return result */
int64_t ends_check(weir_node *node, const char *what, int64_t result);
/** A node that does not ask how it is seen: nothing on the wire but what is measured. */
weir_node *ends_node(const weir_node_options *options);
/** The same, serving ENDS_PROTOCOL on a port of host. @param text room for WEIR_ADDRESS_TEXT_MAX */
weir_node *ends_listener(const weir_node_options *options, const char *host, char *text);
/** Dial and poll until connected. @return the connection */
uint64_t ends_connect(weir_node *node, const char *address);
/** The name of the connection's cipher, as limit_of_suite takes it. */
const char *ends_suite(weir_node *node, uint64_t connection);

/** Serve until the process is killed; tells its address through fd first. Runs as work of
 *  bench_fork, on core 1; context: struct ends_service. */
void ends_serve(int fd, void *context);
struct ends_service {
    const weir_node_options *options;
    /** What a request asks for: 0, an echo of what comes, to the end; else the first 8 bytes of a
     *  stream say how many bytes it wants. */
    bool is_sized;
};
#endif
