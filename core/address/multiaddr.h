/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ADDRESS_MULTIADDR_H
#define WEIR_ADDRESS_MULTIADDR_H
#include "address/endpoint.h"
#include "identity/peer_id.h"

/** Multiaddr (multiformats/multiaddr): text "/ip4/192.0.2.1/udp/7777/weir/p2p/12D3..." and its
 *  binary form.
 *
 *  Components: ip4 4, ip6 41, ip6zone 42, udp 273, tcp 6, dns 53, dns4 54, dns6 55, p2p 421
 *  (text alias: ipfs), quic-v1 461, memory 777 (8 bytes big-endian, as go and rust write it),
 *  and weir's own:
 *
 *      /weir, code 0x300077, no value: weir's transport (docs/wire.md) over that UDP port.
 *
 *  The code is from the range that the multicodec table leaves for private use (0x300000 to
 *  0x3fffff), because no registered one exists for a QUIC-like transport with Noise, and
 *  quic-v1 would make libp2p peers try TLS on it.
 *
 *  Shape: [host [port [transport]]] [/p2p/ID], where p2p is last. Unknown components are an
 *  error: without their length nothing after them can be read. */
enum multiaddr_code {
    MULTIADDR_CODE_IP4 = 4,
    MULTIADDR_CODE_TCP = 6,
    MULTIADDR_CODE_IP6 = 41,
    MULTIADDR_CODE_IP6ZONE = 42,
    MULTIADDR_CODE_DNS = 53,
    MULTIADDR_CODE_DNS4 = 54,
    MULTIADDR_CODE_DNS6 = 55,
    MULTIADDR_CODE_UDP = 273,
    MULTIADDR_CODE_P2P = 421,
    MULTIADDR_CODE_QUIC_V1 = 461,
    MULTIADDR_CODE_MEMORY = 777,
    MULTIADDR_CODE_WEIR = 0x300077,
};
enum {
    MULTIADDR_BYTES_MAX = 512, /**< of either form; longer input is refused */
    MULTIADDR_NAME_MAX = 253,  /**< a DNS name in text (RFC 1035 section 2.3.4) */
    MULTIADDR_TEXT_MAX = 512,  /**< a buffer of this size takes every text */
};

/** What can be dialled with it. */
enum address_kind {
    ADDRESS_OTHER = 0,         /**< names no whole transport: "/ip4/1.2.3.4", "/p2p/ID" */
    ADDRESS_UDP = 1,           /**< weir over UDP: /udp/N/weir */
    ADDRESS_MEMORY = 2,        /**< /memory/N */
    ADDRESS_TCP_LIBP2P = 3,    /**< /tcp/N */
    ADDRESS_QUIC_V1 = 4,       /**< /udp/N/quic-v1 */
};
enum multiaddr_host {
    MULTIADDR_HOST_NONE = 0,
    MULTIADDR_HOST_ENDPOINT,   /**< a number: `endpoint` */
    MULTIADDR_HOST_DNS,        /**< `name`, either family */
    MULTIADDR_HOST_DNS4,
    MULTIADDR_HOST_DNS6,
};
enum multiaddr_port { MULTIADDR_PORT_NONE = 0, MULTIADDR_PORT_UDP, MULTIADDR_PORT_TCP };

/** The parsed form. All unused fields are 0. */
struct multiaddr {
    uint8_t kind;              /**< enum address_kind */
    uint8_t host;              /**< enum multiaddr_host */
    uint8_t port;              /**< enum multiaddr_port; the number is in endpoint.port */
    bool has_peer;
    struct endpoint endpoint;  /**< for a DNS name family is ENDPOINT_NONE and only port is used */
    struct peer_id peer;       /**< when has_peer */
    uint8_t name_len;
    char name[MULTIADDR_NAME_MAX + 1]; /**< lower case, 0 at the end, no dot at the end */
};

/** Where and why parsing failed. */
struct address_error {
    uint32_t offset;           /**< byte of the input at which the offending part starts */
    const char *sentence;      /**< fixed text, never NULL after a failure */
};

/** A multiaddr of weir over UDP (or memory, by the endpoint's family) without a peer. */
struct multiaddr multiaddr_of(const struct endpoint *endpoint);
/** @param error  may be NULL. @return 0, WEIR_E_ADDRESS or WEIR_E_PEER_ID (then *out is zeroed) */
int multiaddr_parse(struct multiaddr *out, const char *text, size_t len,
                    struct address_error *error);
/** From bytes of the wire. Total: any input gives a value or an error. Results as
 *  multiaddr_parse. */
int multiaddr_decode(struct multiaddr *out, const void *bytes, size_t len,
                     struct address_error *error);
/** @return bytes written without the 0 at the end, WEIR_E_SPACE, or WEIR_E_ADDRESS when m has
 *           no part at all */
int multiaddr_format(const struct multiaddr *m, char *out, size_t cap);
/** Binary form. @return bytes written, WEIR_E_SPACE or WEIR_E_ADDRESS (m has no part) */
int multiaddr_encode(const struct multiaddr *m, void *out, size_t cap);
bool multiaddr_equal(const struct multiaddr *a, const struct multiaddr *b);
/** Check a DNS name (labels of letters, digits and inner hyphens, 1 to 63 bytes, RFC 1123
 *  section 2.1; the last label is not a number, so that a mistyped IPv4 address is not looked
 *  up; one dot at the end is allowed) and set host, name and name_len. Underscores are refused.
 *  @return 0 or WEIR_E_ADDRESS (m is unchanged) */
int multiaddr_set_name(struct multiaddr *m, enum multiaddr_host host, const char *name, size_t len,
                       struct address_error *error);
#endif
