/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_STREAM_HEAD_H
#define WEIR_NODE_STREAM_HEAD_H
#include "node/state.h"

/* How every stream begins (docs/wire.md): the length of its protocol's name as a variable-length
 * integer (RFC 9000, section 16), and the name: printable ASCII without spaces. There is no answer.
 */
enum { STREAM_HEAD_NAME_MAX = 128, STREAM_HEAD_MAX = STREAM_HEAD_NAME_MAX + 8 };
struct stream_head {
    size_t len; /**< of the whole head */
    size_t name_len;
    char name[STREAM_HEAD_NAME_MAX];
};
enum stream_head_result { STREAM_HEAD_WAIT, STREAM_HEAD_DONE, STREAM_HEAD_BAD };

bool stream_head_is_name(const char *name, size_t len, uint64_t name_max);
/** Look at the head of a stream that the peer opened; nothing is consumed. */
enum stream_head_result stream_head_read(const struct stream *s, uint64_t name_max,
                                         struct stream_head *out);
/** Open a stream and write its head, held so that it leaves together with what follows.
 *  @param error  WEIR_E_LIMIT the peer's stream limit; WEIR_E_BUDGET our budget, or the peer's
 * credit; WEIR_E_MEMORY, WEIR_E_NOT_CONNECTED
 *  @return       the stream or NULL */
struct stream *stream_head_open(struct transport_conn *c, const char *name, size_t name_len,
                                bool one_way, uint8_t urgency, uint64_t now_us, int *error);
#endif
