/* SPDX-License-Identifier: MIT */
#ifndef WEIR_CRYPTO_SCHEDULE_H
#define WEIR_CRYPTO_SCHEDULE_H
#include <stddef.h>
#include <stdint.h>

/** The key schedule of the UDP handshake: from connection ids and Noise's outputs to packet
 *  protection secrets. */
#define WEIR_UDP_VERSION UINT32_C(0x77656972) /**< "weir", the QUIC version number on the wire */
enum { SCHEDULE_SALT_SIZE = 20, SCHEDULE_PROLOGUE_SIZE = 13, SCHEDULE_RETRY_TAG_SIZE = 16 };

/** The first 20 bytes of SHA-256("weir/udp initial salt v1"). */
extern const uint8_t schedule_salt[SCHEDULE_SALT_SIZE];
/** "weir/udp" 00 and the version, big-endian: Noise's prologue (wire.md 5.1). */
extern const uint8_t schedule_prologue[SCHEDULE_PROLOGUE_SIZE];

/** Initial secrets, RFC 9001 section 5.2 ("client in", "server in"). They hide nothing from
 *  whoever knows the salt.
 *  @param salt  schedule_salt, or the RFC's own in tests
 *  @param dcid  the client's first destination connection id, or the Retry packet's source id */
void schedule_initial(const void *salt, size_t salt_len, const void *dcid, size_t dcid_len,
                      uint8_t client[32], uint8_t server[32]);
/** Handshake secrets (docs/wire.md 5.11), with ck and h as they stand after token ee and before
 *  token s. */
void schedule_handshake(const uint8_t ck[32], const uint8_t h[32], uint8_t client[32],
                        uint8_t server[32]);
/** 1-RTT secrets (the same) from noise_split's outputs, the suite that was agreed upon and the
 *  final hash. */
void schedule_application(const uint8_t c1[32], const uint8_t c2[32], uint8_t suite,
                          const uint8_t h[32], uint8_t client[32], uint8_t server[32]);
/** The exporter (docs/wire.md 5.11): what an application may bind to. ck and h are the final
 *  ones. */
void schedule_exporter(const uint8_t ck[32], const uint8_t h[32], uint8_t out[32]);
/** The integrity tag of a Retry packet (RFC 9001 section 5.8, with ChaCha20-Poly1305 and our own
 *  key and nonce: SHA-256("weir/udp retry key v1") and the first 12 bytes of SHA-256("weir/udp
 *  retry nonce v1")).
 *  @param pseudo_packet  length and bytes of the original destination id, then the Retry packet
 *                        without its tag */
void schedule_retry_tag(const void *pseudo_packet, size_t len, uint8_t tag[16]);
#endif
