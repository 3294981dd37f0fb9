/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_LIMIT_H
#define WEIR_TESTS_BENCH_LIMIT_H
/** What this machine can do at most: 1452-byte packets, each sealed with
 *  crypto_aead_chacha20poly1305_ietf and its header masked with ChaCha20, sent over loopback with
 *  UDP_SEGMENT and received with UDP_GRO, opened; sender and receiver on a core each. No protocol:
 *  no acknowledgement, no loss recovery, no stream.
 *  @return payload bits per second that the receiver opened */
double limit_aead_gso(double seconds);
#endif
