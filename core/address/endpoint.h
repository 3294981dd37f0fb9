/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ADDRESS_ENDPOINT_H
#define WEIR_ADDRESS_ENDPOINT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Where a datagram goes to or comes from: an IP address and port, or a number in the in-memory
 *  transport.
 *
 *  Every endpoint that these functions make is canonical: `reserved` and unused bytes are 0, an
 *  IPv4-mapped IPv6 address is an IPv4 one, and `scope_id` is 0 unless the address is
 *  link-local. So two endpoints are the same place exactly when their 24 bytes are equal, and
 *  the struct itself may be the key of a map. */
enum endpoint_family {
    ENDPOINT_NONE = 0,
    ENDPOINT_MEMORY = 1,       /**< the number is in bytes[0..7], big-endian; port 0 */
    ENDPOINT_IP4 = 4,          /**< bytes[0..3], network order */
    ENDPOINT_IP6 = 6,
};
struct endpoint {
    uint8_t family;            /**< enum endpoint_family */
    uint8_t reserved;          /**< 0 */
    uint16_t port;             /**< host order */
    uint32_t scope_id;         /**< index of the interface, link-local IPv6 only; 0: unknown */
    uint8_t bytes[16];
};
enum {
    ENDPOINT_TEXT_MAX = 64,    /**< a buffer of this size takes every text of endpoint_format */
    ENDPOINT_KEY_BYTES = 24,   /**< 16 of address, 4 of scope, 2 of port, 1 of family, 1 zero */
};

struct endpoint endpoint_ip4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port);
/** From 16 bytes in network order, as a socket gives them; made canonical (the result may be an
 *  IPv4 one). */
struct endpoint endpoint_ip6(const uint8_t bytes[16], uint16_t port, uint32_t scope_id);
struct endpoint endpoint_memory(uint64_t number);
uint64_t endpoint_memory_number(const struct endpoint *e); /**< 0 for another family */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
/** The same address and scope; ports are not compared. */
bool endpoint_same_host(const struct endpoint *a, const struct endpoint *b);
/** 0.0.0.0 or [::], whatever the port. */
bool endpoint_is_unspecified(const struct endpoint *e);

/** Read "1.2.3.4:5", "[2001:db8::1]:5", "[fe80::1%3]:5" or "/memory/7".
 *
 *  Strict: dotted decimal of four parts without leading zeros; RFC 4291 section 2.2 for IPv6; a
 *  zone is a decimal number and allowed for link-local addresses only (RFC 4007: names of
 *  interfaces mean nothing to the engine).
 *  @param len  bytes at text, which needs no 0 at the end
 *  @return     0, or WEIR_E_ADDRESS and *out is zeroed */
int endpoint_parse(struct endpoint *out, const char *text, size_t len);
/** Only the address: "1.2.3.4", "2001:db8::1" or "fe80::1%3", without brackets or port. The
 *  port becomes 0. */
int endpoint_parse_host(struct endpoint *out, const char *text, size_t len);
/** Decimal digits only, 0 to 65535, no sign, no leading zero. @return 0 or WEIR_E_ADDRESS */
int endpoint_parse_port(uint16_t *out, const char *text, size_t len);
/** The text that endpoint_parse reads, IPv6 as RFC 5952 wants it. ENDPOINT_NONE gives "none".
 *  @return  bytes written without the 0 at the end, or WEIR_E_SPACE and out is "" (if cap > 0) */
int endpoint_format(const struct endpoint *e, char *out, size_t cap);
/** As endpoint_format, without brackets and port. */
int endpoint_format_host(const struct endpoint *e, char *out, size_t cap);
/** Different endpoints give different keys. */
void endpoint_key(const struct endpoint *e, uint8_t out[ENDPOINT_KEY_BYTES]);
#endif
