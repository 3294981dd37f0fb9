/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_ECHO_UV_H
#define WEIR_TESTS_BENCH_ECHO_UV_H
/** What a user of libuv would write: messages of bytes each over TCP, echoed, one at a time on each
 *  of so many connections; client on core 0, server in a process on core 1. Nothing is encrypted.
 *  @return echoes per second */
double echo_uv(unsigned connections, unsigned bytes, double seconds);
const char *echo_uv_version(void);
#endif
