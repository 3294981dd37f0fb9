/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TRANSPORT_NETWORK_H
#define WEIR_TRANSPORT_NETWORK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A network's name: at most 64 bytes, none of them zero or a control character. It is compared and
 *  shown as text, so "team" and "team\0x" must not both exist, and a peer must not write to a
 *  terminal. The empty name is that of the nodes without a network (docs/wire.md 7.5). */
enum { NETWORK_NAME_MAX = 64 };
static inline bool network_name_is_valid(const void *name, size_t len)
{
    const uint8_t *bytes = name;
    if (len > NETWORK_NAME_MAX) return false;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < ' ' || bytes[i] == 0x7f) return false;
    }
    return true;
}
#endif
