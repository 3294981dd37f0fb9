/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ADDRESS_ADDRESS_H
#define WEIR_ADDRESS_ADDRESS_H
#include "address/multiaddr.h"

/** The forms in which people write addresses.
 *
 *      /ip4/192.0.2.1/udp/7777/weir       a multiaddr, of any kind
 *      192.0.2.1:7777   192.0.2.1         the port may be left out when there is a default
 *      [2001:db8::1]:7777
 *      example.org:7777
 *      :7777   7777                       only to listen: every address of both families, [::]:7777
 *      weir:12D3KooW...@example.org:7777  an invitation: who, and where (any of the above)
 *      weir:12D3KooW...                   only who: kind ADDRESS_OTHER without a host
 *
 *  An IPv6 address without brackets is refused, because its last group cannot be told from a
 *  port (RFC 5952 6). */
enum { ADDRESS_LISTEN = 1 };   /**< flag: the text says where to listen; port 0 (any) is allowed */
enum { ADDRESS_TEXT_MAX = MULTIADDR_TEXT_MAX };

/** @param default_port  used when the text has none; 0: then a port is required (unless listening)
 *  @param flags         0 or ADDRESS_LISTEN
 *  @param error         may be NULL
 *  @return              0, WEIR_E_ADDRESS or WEIR_E_PEER_ID (then *out is zeroed) */
int address_parse(struct multiaddr *out, const char *text, size_t len, uint16_t default_port,
                  unsigned flags, struct address_error *error);
/** A short text that address_parse reads back to an equal value (with ADDRESS_LISTEN where the
 *  port is 0): "host:port" for weir over UDP, else the multiaddr; "weir:ID@" in front of it when
 *  there is a peer.
 *  @return bytes written without the 0 at the end, WEIR_E_SPACE, or WEIR_E_ADDRESS when m has no
 *          part */
int address_format(const struct multiaddr *m, char *out, size_t cap);
/** "weir:PEERID@host:port": what one person sends to another. The peer replaces the one in m,
 *  if any. */
int address_format_invitation(const struct peer_id *peer, const struct multiaddr *m, char *out,
                              size_t cap);
#endif
