/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LUA_SEND_H
#define WEIR_LUA_SEND_H
#include "entry.h"
#include "peers.h"

/* What tell, ask and call share: to encode, to find the connection or dial for it, to wait for
 * room. Only a send that has to wait costs more than the stack of its task: its bytes are kept in
 * t->wait, so that they are those of the moment at which it was said. */

/** Try to hand it to the core: message.c and request.c. bytes are lua->scratch.
 *  @return what the C function returns (it may wait, and not return at all); or SEND_NO_ROOM: try
 *          again when there is */
struct sending;
typedef int (*send_go)(lua_State *L, const struct sending *s, uint64_t connection,
                       const uint8_t *bytes);
enum { SEND_NO_ROOM = -1 };

struct sending {
    struct instance *instance; /**< whose words they are: the task's, or a module's */
    struct entry *entry;
    uint32_t peer;
    uint64_t until_us;         /**< when the answer must be there; WEIR_NONE: no matter */
    send_go go;
    size_t len;
    bool gives_false;          /**< a failure is false, not nil, with its sentence and name */
};

/** The body of tell, ask and call: peer, entry and value stand at 1, 2 and 3 of the stack, which
 *  has 4 slots. `go` is called now or in a later resumption. */
int send_begin(lua_State *L, struct instance *in, struct entry *e, uint64_t within_us, send_go go,
               bool gives_false);
/** The three values on top are a failure: as the word has it. @return 3 */
int send_failed(lua_State *L, const struct sending *s);
#endif
