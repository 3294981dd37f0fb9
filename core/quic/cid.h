/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_CID_H
#define WEIR_QUIC_CID_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** A connection id (RFC 9000 section 5.1): 0 to 20 bytes, opaque to the other side. */
enum {
    CID_MAX = 20,
    /** Every id that we choose: short headers carry no length, and 64 random bits validate an
     *  address. */
    CID_LOCAL_LEN = 8
};
struct cid {
    uint8_t len;
    uint8_t bytes[CID_MAX]; /**< zero beyond len */
};
/** Not in constant time: connection ids are on the wire in the clear. */
static inline bool cid_equal(const struct cid *a, const struct cid *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}
/** @return false when len > CID_MAX (then cid is the empty id) */
static inline bool cid_set(struct cid *cid, const uint8_t *bytes, size_t len)
{
    memset(cid, 0, sizeof *cid);
    if (len > CID_MAX)
        return false;
    cid->len = (uint8_t)len;
    if (len > 0)
        memcpy(cid->bytes, bytes, len);
    return true;
}
#endif
