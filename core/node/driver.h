/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_DRIVER_H
#define WEIR_NODE_DRIVER_H
#include "address/multiaddr.h"
#include "crypto/secret.h"
#include "transport/datagram.h"
#include "weir.h"
#include <stdbool.h>

struct node;

/** The private table that host (the real world) and sim (a simulated one) implement. Node calls it
 *  only from inside node_input, on the node's thread; no function blocks, and none calls back into
 *  node: answers arrive as inputs. */
struct node_driver {
    /** A socket for datagrams. want: address and port (port 0: any). @param got  the address that
     *  it has
     *  @return 0 and *socket, or WEIR_E_ADDRESS_IN_USE, WEIR_E_PERMISSION, WEIR_E_SOCKET,
     *          WEIR_E_LIMIT, WEIR_E_ADDRESS, WEIR_E_MEMORY with error->detail filled */
    int (*listen)(void *context, const struct endpoint *want, struct endpoint *got,
         uint32_t *socket, weir_error *error);
    void (*unlisten)(void *context, uint32_t socket);
    /** The socket to dial an endpoint from: a listening one of that family, or one made for the
     *  purpose.
     *  @return 0 and *socket, or WEIR_E_UNREACHABLE, WEIR_E_SOCKET, WEIR_E_LIMIT (no port is left)
     *          */
    int (*dial_socket)(void *context, const struct endpoint *remote, uint32_t *socket);
    /** Look a name up; the answer arrives as NODE_INPUT_RESOLVED with the same token. @return 0 or
     *  WEIR_E_* */
    int (*resolve)(void *context, const char *name, uint64_t token);
    void (*resolve_cancel)(void *context, uint64_t token);

    /** Open a file, child or Unix socket: local streams (NULL: there are none here). Answers come
     *  as NODE_INPUT_LOCAL with the token, the first when it is open; what the system refuses comes
     *  as NODE_LOCAL_CLOSED, which is always the last.
     *  @param kind       enum node_local_kind
     *  @param flags      WEIR_FILE_*
     *  @param what, len  a path, or the arguments, each with its zero byte; copied
     *  @return 0, WEIR_E_UNSUPPORTED, WEIR_E_MEMORY */
    int (*local_open)(void *context, uint32_t kind, uint32_t flags, const char *what, size_t len,
                      uint64_t offset, uint64_t token);
    /** Look again at node_local_peek and node_local_credit, after this input. */
    void (*local_wants)(void *context, uint64_t token);
    /** The stream was given up: close it; kill: a child shall die. NODE_LOCAL_CLOSED follows. */
    void (*local_close)(void *context, uint64_t token, bool kill);

    /* What the ABI's calls reach through the node (api/). */
    uint64_t (*now_us)(void *context);
    /** A turn: let go what was written, wait for up to timeout_us (negative: until something
     *  happens), take in what arrived. @return events written, 0 to cap, or WEIR_E_* */
    int64_t (*poll)(void *context, weir_event *events, uint32_t cap, int64_t timeout_us);
    /** Send what the node has to send now (after a flush). */
    void (*flush)(void *context);
    /** Addresses or routes changed: forget what is known of interfaces, open sockets anew whose
     *  address is gone. NULL: nothing of that kind. */
    void (*network_changed)(void *context);
    int (*fd)(void *context);       /**< WEIR_E_STATE in a world */
    int (*wake)(void *context);     /**< from any thread */
    /** Give everything back. The context stays valid for wake and release alone: a wake from
     *  another thread may be under way. */
    void (*close)(void *context);
    /** The last call: nobody may wake any more. */
    void (*release)(void *context);
    const char *name;               /**< "host" or "world": for messages only */
};

#endif
