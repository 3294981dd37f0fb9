/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TESTS_BENCH_LIMIT_H
#define WEIR_TESTS_BENCH_LIMIT_H
/* What this machine can do at most, without a protocol: no acknowledgement, no recovery, no stream.
 * Nothing here uses weir. Sender on core 1, receiver on core 0. */
#include <stdbool.h>
#include <stdint.h>

enum { LIMIT_PACKET_BYTES = 1452 };

/** How datagrams travel. The last three seal each packet, mask its header, send with UDP_SEGMENT,
 *  receive with UDP_GRO, unmask and open. */
enum limit_kind {
    LIMIT_RAW_SINGLE,          /**< one datagram a call */
    LIMIT_RAW_GSO,             /**< UDP_SEGMENT and UDP_GRO, nothing sealed */
    LIMIT_CHACHA_LIBRARY,      /**< crypto_aead_chacha20poly1305_ietf */
    LIMIT_CHACHA_PADDED,       /**< the same bytes from one padded ChaCha20 call and Poly1305 */
    LIMIT_AES,                 /**< AES-256-GCM, header masked with HChaCha20 */
    LIMIT_KINDS
};
const char *limit_name(enum limit_kind kind);
/** @return whether this machine can do it */
bool limit_is_available(enum limit_kind kind);
/** What a suite is compared with, by its name: "chacha20" or "aes"; another ends the program. */
enum limit_kind limit_of_suite(const char *suite);
/** @return payload bits per second that the receiver opened */
double limit_udp(enum limit_kind kind, double seconds);

/** How a ping-pong waits for its datagram. */
enum limit_wait {
    LIMIT_BLOCKING,            /**< in recv */
    LIMIT_EPOLL,               /**< in epoll_wait, then recv */
    LIMIT_SPINNING             /**< asks again at once */
};
/** Ping-pong of 128 bytes between two processes, a core each.
 *  @return the median round trip in seconds */
double limit_ping(bool is_tcp, enum limit_wait wait, double seconds);

/** What one core can do of the public-key arithmetic of a handshake, per second: 1 X25519 key
 *  generation, 3 X25519 agreements (ee, es, se), 1 ed25519 verification. Both sides of Noise XX do
 *  the same; static public halves and identity signatures are made once per node. */
double limit_arithmetic(double seconds);

/** TLS 1.3 over TCP through OpenSSL: X25519, ed25519 certificates on both sides. */
bool limit_tls_is_built(void);
const char *limit_tls_version(void);
double limit_tls_bulk(double seconds);        /**< bits per second of one connection */
double limit_tls_handshakes(double seconds);  /**< new connections per second */
#endif
