/* SPDX-License-Identifier: MIT */
#ifndef WEIR_H
#define WEIR_H
/*
 * weir: a peer-to-peer networking core. This header is the manual; read it from the top.
 *
 * A node is this process's peer. It has an ed25519 key, and its peer id is that key. It listens on
 * addresses, dials others, and has connections; a connection carries streams; a stream is two
 * one-way lanes of bytes. A connection is encrypted and both ends are authenticated before the
 * application hears of it.
 *
 *     weir_node *node;
 *     weir_node_options options = {sizeof options};
 *     weir_node_create(&options, &node, NULL);
 *     weir_node_serve(node, "echo", NULL);
 *     weir_node_listen(node, "[::]:4001");
 *     for (;;) {
 *         weir_event events[64];
 *         int64_t count = weir_node_poll(node, events, 64, -1);
 *         ... act on the events ...
 *     }
 *
 * The rules that hold everywhere:
 *
 * Pull, not push. The library never calls you. weir_node_poll fills an array of events; between
 * two polls you call what you like. To wait in your own loop, watch weir_node_fd and
 * weir_node_deadline. Not draining events is back-pressure.
 *
 * Nothing is queued without a bound. A write says how many bytes it took. Fewer than you gave
 * means: wait for WEIR_EVENT_WRITABLE. Reading gives the peer credit back only when you consume.
 *
 * You own the flush. What you write between two polls is packed together and leaves when you come
 * back to poll. WEIR_MORE holds the last, partial packet because more follows. weir_stream_flush
 * lets go at once. No timer flushes.
 *
 * Handles are integers of 53 bits, checked at every call: one whose object is gone gives
 * WEIR_E_STALE, one of another kind WEIR_E_KIND. 0 is never a handle. Only the node and the world
 * are pointers. Closing is idempotent and may come in any order; closing a parent closes its
 * children. An object that ended stays readable until the poll after the one that gave its last
 * event; a poll later where that event filled the array.
 *
 * 0 or a count is success, negative is an error, blocked is 0. weir_last_error has the facts of
 * the last failed call. Beside the errors that a function names, WEIR_E_NULL and, on a closed
 * node, WEIR_E_CLOSED answer every call, and WEIR_E_MEMORY and WEIR_E_BUDGET those that need room.
 *
 * Options structs begin with their size as you compiled them; zero is the default for every field,
 * so {sizeof o} is complete. They only grow at the end. Out structs have the size you set, and are
 * filled up to it.
 *
 * A node belongs to one thread at a time. weir_node_wake may be called from any thread. Many cores
 * are many nodes.
 *
 * Text is UTF-8 and ends with a zero byte unless a length is given. Times are microseconds (_us).
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(WEIR_BUILD) && defined(__GNUC__)
#define WEIR_API __attribute__((visibility("default")))
#else
#define WEIR_API
#endif

/* ---------------------------------------------------------------- versions */

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

/** The library's version as text, for example "0.1.0 (libuv 1.44.2, libsodium 1.0.18)".
 *  @owner  the library's, for ever
 *  @thread any
 *  @since  0.1 */
WEIR_API const char *weir_version(void);

/** The library's version as a number: major * 1,000,000 + minor * 1,000 + patch.
 *  @thread any
 *  @since  0.1 */
WEIR_API uint32_t weir_version_number(void);

/* ------------------------------------------------------------------ errors */

/* Errors. 0 or a count is success, negative is an error, blocked is 0. Numbers are never reused;
 * the hundreds say who must act. */
#define WEIR_OK 0
#define WEIR_E_ARGUMENT (-1)          /**< an argument is out of its range */
#define WEIR_E_NULL (-2)              /**< a pointer that must not be NULL is NULL */
#define WEIR_E_KIND (-3)              /**< a handle of another kind */
#define WEIR_E_UNKNOWN_OPTION (-4)    /**< an options struct is longer than this library knows, and
                                           its tail is not 0 */
#define WEIR_E_SIZE (-5)              /**< an options or out struct's size field is impossible */
#define WEIR_E_ADDRESS (-6)           /**< not an address in any form that weir knows */
#define WEIR_E_PEER_ID (-7)           /**< not a peer id */
#define WEIR_E_KEY (-8)               /**< not a key: wrong length, version or checksum */
#define WEIR_E_NAME (-9)              /**< not a valid protocol or network name */
#define WEIR_E_SPACE (-10)            /**< the caller's buffer is too small */
#define WEIR_E_STALE (-100)           /**< the handle's object is gone */
#define WEIR_E_CLOSED (-101)          /**< the node was closed */
#define WEIR_E_FINISHED (-102)        /**< this side finished the lane */
#define WEIR_E_RESET (-103)           /**< the peer reset the lane */
#define WEIR_E_STOPPED (-104)         /**< the reader of this lane wants no more */
#define WEIR_E_END (-105)             /**< the peer finished its lane and everything was read */
#define WEIR_E_NOT_CONNECTED (-106)   /**< the connection is not up, or no longer */
#define WEIR_E_EXISTS (-107)          /**< it is there already */
#define WEIR_E_NOT_FOUND (-108)       /**< no such thing */
#define WEIR_E_DRAINING (-109)        /**< the node is draining and takes no new work */
#define WEIR_E_ONE_WAY (-110)         /**< the stream has no lane in this direction */
#define WEIR_E_STATE (-111)           /**< the call does not fit the object's state */
#define WEIR_E_MEMORY (-200)          /**< the allocator returned NULL */
#define WEIR_E_BUDGET (-201)          /**< a memory budget is used up; weir_last_error says which */
#define WEIR_E_LIMIT (-202)           /**< a count limit is reached; weir_last_error says which */
#define WEIR_E_REFUSED (-300)         /**< the peer refused; the reason code says why */
#define WEIR_E_PROTOCOL (-301)        /**< the peer broke the wire protocol */
#define WEIR_E_UNSUPPORTED (-302)     /**< the peer does not serve that protocol, or speaks another
                                           version */
#define WEIR_E_PEER_CLOSED (-303)     /**< the peer closed the connection */
#define WEIR_E_TIMEOUT (-400)         /**< nothing was heard in time */
#define WEIR_E_UNREACHABLE (-401)     /**< the network says that there is no way */
#define WEIR_E_ADDRESS_IN_USE (-402)  /**< the port is in use */
#define WEIR_E_HOST_UNKNOWN (-403)    /**< the name has no address */
#define WEIR_E_SOCKET (-404)          /**< the system refused a socket call */
#define WEIR_E_PERMISSION (-405)      /**< the system does not permit it */
#define WEIR_E_IO (-406)              /**< reading or writing a file failed */
#define WEIR_E_IDENTITY (-500)        /**< the peer is not who the address says */
#define WEIR_E_HANDSHAKE (-501)       /**< authentication failed */
#define WEIR_E_DECRYPT (-502)         /**< bytes that do not authenticate */
#define WEIR_E_KEY_FILE (-503)        /**< a key file that others can read or write */
#define WEIR_E_INTERNAL (-900)        /**< our bug: please report it */

/** Who a peer is: the multihash of its public key, as libp2p defines it. */
typedef struct weir_peer_id {
    uint8_t len;               /**< bytes used, at most 47; 0: nobody */
    uint8_t bytes[47];
} weir_peer_id;

/** The facts of a failure. Fields that do not apply are 0. */
typedef struct weir_error {
    uint32_t size;             /**< sizeof(weir_error) as you compiled it; set it before you hand
                                    the struct in */
    int32_t code;              /**< WEIR_E_* */
    uint32_t reason;           /**< WEIR_REASON_*, where the peer or weir gave one */
    uint32_t limit_scope;      /**< 1 node, 2 peer, 3 connection, 4 protocol, 5 stream; 0: no limit
                                    was involved */
    uint32_t limit_side;       /**< 1 ours, 2 the peer's */
    uint32_t reserved;         /**< 0 */
    uint64_t limit_used;       /**< how much of the limit was used */
    uint64_t limit_max;        /**< the limit */
    uint64_t since_us;         /**< since when, on the node's clock */
    weir_peer_id peer;         /**< to whom it happened; len 0: nobody in particular */
    char limit_name[32];       /**< as in docs/limits.md, for example "stream_send" */
    char detail[256];          /**< one sentence: what happened and what to do */
} weir_error;

/** The fixed sentence of an error number.
 *  @return never NULL; "unknown error" for numbers that are not weir's
 *  @owner  the library's, for ever
 *  @thread any
 *  @since  0.1 */
WEIR_API const char *weir_strerror(int32_t code);

/** The name of an error number, for example "WEIR_E_STALE"; "WEIR_E_?" for numbers that are not
 *  weir's.
 *  @owner  the library's, for ever
 *  @thread any
 *  @since  0.1 */
WEIR_API const char *weir_error_name(int32_t code);

/* Reason codes: why a stream or connection ended, a number that both sides can read. Below
 * 0x10000000 they are the application's own; from there on weir's; WEIR_REASON_TRANSPORT | n is
 * transport error n of RFC 9000, section 20.1. */
#define WEIR_REASON_NONE 0x0u                       /**< ended without complaint */
#define WEIR_REASON_PROTOCOL_NOT_SERVED 0x10000001u /**< the peer does not serve that protocol */
#define WEIR_REASON_PROTOCOL_NAME 0x10000002u       /**< the stream did not begin with a valid
                                                         protocol name */
#define WEIR_REASON_REFUSED 0x10000003u             /**< policy: this peer may not connect */
#define WEIR_REASON_NETWORK 0x10000004u             /**< the peers belong to different networks */
#define WEIR_REASON_FULL 0x10000005u                /**< no room for another peer */
#define WEIR_REASON_OVERLOAD 0x10000006u            /**< busy: try again later */
#define WEIR_REASON_LIMIT 0x10000007u               /**< a limit or budget was reached */
#define WEIR_REASON_DUPLICATE 0x10000008u           /**< both sides dialled: the other connection
                                                         stays */
#define WEIR_REASON_DRAINING 0x10000009u            /**< the node is shutting down */
#define WEIR_REASON_GOING_AWAY 0x1000000au          /**< the node was closed */
#define WEIR_REASON_IDLE 0x1000000bu                /**< nothing was heard for the idle timeout */
#define WEIR_REASON_CONNECTION 0x1000000cu          /**< a stream ended because its connection did
                                                         */
#define WEIR_REASON_IDENTITY 0x1000000du            /**< the peer is not who was dialled */
#define WEIR_REASON_HANDSHAKE 0x1000000eu           /**< authentication failed */
#define WEIR_REASON_UNREACHABLE 0x1000000fu         /**< no address answered */
#define WEIR_REASON_STATELESS_RESET 0x10000010u     /**< the peer lost the connection's state */
#define WEIR_REASON_CANCELLED 0x10000011u           /**< this side gave up waiting */
#define WEIR_REASON_UNUSED 0x10000012u              /**< nothing held the connection any more */
#define WEIR_REASON_TOO_LARGE 0x10000013u           /**< a message, request or response is longer
                                                         than its protocol allows */
#define WEIR_REASON_TOO_SLOW 0x10000014u            /**< less came than the least progress */
#define WEIR_REASON_DEADLINE 0x10000015u            /**< not done within its time */
#define WEIR_REASON_KIND 0x10000016u                /**< the protocol is served, but not in this
                                                         way: a message for a request, say */
#define WEIR_REASON_FORMAT 0x10000017u              /**< the bytes are not what the protocol says */
#define WEIR_REASON_SCRIPT 0x10000018u              /**< the script that serves it failed */
#define WEIR_REASON_SCRIPT_LIMIT 0x10000019u        /**< the script that serves it used up its
                                                         instructions or its memory */
#define WEIR_REASON_DROPPED 0x1000001au             /**< a game gave the link up */
#define WEIR_REASON_TRANSPORT 0x20000000u           /**< | n: transport error n */

/** The short name of a reason code, for example "protocol_not_served"; "application" below
 *  0x10000000.
 *  @owner  the library's, for ever
 *  @thread any
 *  @since  0.1 */
WEIR_API const char *weir_reason_name(uint32_t reason);

/* ---------------------------------------------------------- keys and peers */

#define WEIR_KEY_BYTES 64      /**< a secret key: ed25519 seed and public key */
#define WEIR_PEER_TEXT_MAX 96  /**< room for a peer id as text, with its zero */
#define WEIR_ADDRESS_TEXT_MAX 512 /**< room for an address as text, with its zero */

/** Make a new secret key from the system's generator.
 *  @param key  room for WEIR_KEY_BYTES
 *  @return 0, WEIR_E_NULL
 *  @thread any
 *  @since  0.1 */
WEIR_API int32_t weir_key_generate(void *key, weir_error *error);

/** Read a key file.
 *  @return 0; WEIR_E_NOT_FOUND no such file; WEIR_E_KEY_FILE others can read or write it;
 *          WEIR_E_KEY not a key file or damaged; WEIR_E_IO, WEIR_E_PERMISSION. error->detail says
 *          what to do
 *  @thread any; blocks on the disk
 *  @since  0.1 */
WEIR_API int32_t weir_key_load(const char *path, void *key, weir_error *error);

/** Write a key file, atomically, readable by the owner alone (0600). Never overwrites.
 *  @return 0; WEIR_E_EXISTS there is a file already; WEIR_E_IO, WEIR_E_PERMISSION, WEIR_E_KEY
 *  @thread any; blocks on the disk
 *  @since  0.1 */
WEIR_API int32_t weir_key_save(const char *path, const void *key, weir_error *error);

/** The peer id of a secret key.
 *  @return 0, WEIR_E_NULL, WEIR_E_KEY the two halves of the key do not belong together
 *  @thread any
 *  @since  0.1 */
WEIR_API int32_t weir_key_peer(const void *key, weir_peer_id *peer);

/** Read a peer id: base58 ("12D3Koo...", "Qm...") or CIDv1 text.
 *  @return 0, WEIR_E_NULL, WEIR_E_PEER_ID
 *  @thread any
 *  @since  0.1 */
WEIR_API int32_t weir_peer_parse(const char *text, weir_peer_id *peer);

/** Write a peer id as base58 text.
 *  @param cap  bytes at text; WEIR_PEER_TEXT_MAX always suffices
 *  @return the length without the zero, WEIR_E_NULL, WEIR_E_SPACE, WEIR_E_PEER_ID
 *  @thread any
 *  @since  0.1 */
WEIR_API int32_t weir_peer_format(const weir_peer_id *peer, char *text, uint32_t cap);

/** Read an address in any form ("host:port", "[::1]:4001", "weir:PEERID@host:port", a multiaddr)
 *  and write it as multiaddr text; says why it is no address.
 *  @param text_out  room for WEIR_ADDRESS_TEXT_MAX
 *  @return the length written, WEIR_E_ADDRESS, WEIR_E_PEER_ID, WEIR_E_NULL, WEIR_E_SPACE
 *  @thread any
 *  @since  0.1 */
WEIR_API int32_t weir_address_normalize(const char *text, char *text_out, uint32_t cap,
                                        weir_error *error);

/* -------------------------------------------------------------------- node */

/** This process's peer, or one of a world. */
typedef struct weir_node weir_node;

/** How a node is made. */
typedef struct weir_node_options {
    uint32_t size;             /**< sizeof(weir_node_options) as you compiled it */
    uint32_t log_level_plus1;  /**< 0 = default (warnings); 1 nothing, 2 errors, 3 warnings, 4
                                    info, 5 debug, 6 trace */
    const void *key;           /**< WEIR_KEY_BYTES; NULL: a new key for this run. Copied */
    const char *network;       /**< network name, at most 64 bytes; NULL or "": none. Peers of
                                    other networks are refused. Copied */
    uint64_t memory_bytes;     /**< budget of all buffers; 0: 256 MiB. At least 256 KiB */
    uint64_t peers_max;        /**< connected peers; 0: derived from memory_bytes */
    uint64_t stream_window_bytes;     /**< first receive window of a stream; 0: 128 KiB. At least 1
                                           KiB */
    uint64_t connection_window_bytes; /**< first receive window of a connection; 0: 256 KiB. At
                                           least 1 KiB */
    uint64_t windows_grow_off; /**< 1: windows stay at their first size */
    uint64_t idle_timeout_us;  /**< 0: 30 s; at least 1 s */
    uint64_t keep_alive_us;    /**< for connections of held peers; 0: 12 s; at least 100 ms;
                                    WEIR_NONE: never */
    uint64_t dial_timeout_us;  /**< 0: 60 s. A dial to which nobody answers tries all addresses
                                    again until then */
    uint32_t congestion_plus1; /**< 0 = default (CUBIC); 1 CUBIC, 2 NewReno, 3 BBR */
    uint32_t refuse_unknown;   /**< 1: only peers accepted by weir_peer_access may connect
                                    to us; peers that we dial are accepted unless refused */
    uint32_t datagram_bytes;   /**< UDP payload, fixed: 1200 to 65000; 0: begin with 1200 (1452 on
                                    loopback) and find what the path carries, up to 1472 */
    uint32_t offload_off;      /**< 1: never use UDP_SEGMENT and UDP_GRO */
    uint32_t streams_max;      /**< streams of each kind that a peer may have open; 0: 256.
                                    A small memory budget grants fewer */
    uint32_t observed_off;     /**< 1: do not serve or ask "weir/observed/1" */
    uint32_t cipher_plus1;     /**< 0 = default: AES-256-GCM if both machines have it in hardware,
                                    else ChaCha20-Poly1305, which a world always uses; 1
                                    ChaCha20-Poly1305 alone; 2 offer AES-256-GCM (WEIR_E_UNSUPPORTED
                                    where this machine cannot) */
    uint32_t spin_us;          /**< how long weir_node_poll looks for datagrams before it sleeps,
                                    while there is traffic: less latency for a busy core. 0: not at
                                    all; at most 1000 */
    uint32_t ecn_off;          /**< 1: do not mark what is sent for explicit congestion
                                    notification */
    uint32_t datagrams_off;    /**< 1: take no unreliable datagrams */
    uint64_t handshake_timeout_us; /**< life of a handshake after the last thing heard; 0: 30 s. At
                                        least 1 s */
} weir_node_options;

#define WEIR_NONE UINT64_MAX   /**< in options: no limit of its own, or never */

/** Make a node of the real world. It opens nothing before listen or dial.
 *  @param error  facts of a failure; may be NULL
 *  @return 0 and *node; WEIR_E_NULL, WEIR_E_ARGUMENT, WEIR_E_SIZE, WEIR_E_UNKNOWN_OPTION,
 *          WEIR_E_KEY, WEIR_E_NAME, WEIR_E_MEMORY, WEIR_E_SOCKET no descriptors are left
 *  @owner  yours: weir_node_close, then weir_node_free
 *  @since  0.1 */
WEIR_API int32_t weir_node_create(const weir_node_options *options, weir_node **node,
                                  weir_error *error);

/** Close a node at once: connections are closed with WEIR_REASON_GOING_AWAY, sockets and memory
 *  are given back. What stays is a tombstone on which every other call answers WEIR_E_CLOSED (or
 *  the 0 or WEIR_NONE that it names). To finish what is under way first, use weir_node_drain.
 *  @return 0, also the second time; WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_node_close(weir_node *node);

/** End the pointer. Closes first if you did not. NULL is an error.
 *  @return 0, WEIR_E_NULL; WEIR_E_STATE the node belongs to a world: weir_world_free frees it
 *  @since  0.1 */
WEIR_API int32_t weir_node_free(weir_node *node);

/** Listen on an address: "0.0.0.0:4001", "[::]:4001", ":4001" (both families), "127.0.0.1:0" (any
 *  port), a multiaddr. May be called several times.
 *  @return 0; WEIR_E_ADDRESS, WEIR_E_ADDRESS_IN_USE, WEIR_E_PERMISSION, WEIR_E_SOCKET,
 *          WEIR_E_DRAINING, WEIR_E_CLOSED; WEIR_E_PEER_ID the address is another peer's;
 *          WEIR_E_LIMIT 64 ports are open
 *  @since  0.1 */
WEIR_API int32_t weir_node_listen(weir_node *node, const char *address);

/** The i-th address that the node listens on, as multiaddr text with its peer id.
 *  @return the length without the zero; WEIR_E_NOT_FOUND beyond the last; WEIR_E_SPACE
 *  @since  0.1 */
WEIR_API int32_t weir_node_address(weir_node *node, uint32_t i, char *text, uint32_t cap);

/** The i-th address as an invitation, the form for people: "weir:PEERID@host:port". What a node
 *  that listens on all addresses (0.0.0.0, [::]) prints must be completed with a host that others
 *  reach.
 *  @return as weir_node_address
 *  @since  0.1 */
WEIR_API int32_t weir_node_invitation(weir_node *node, uint32_t i, char *text, uint32_t cap);

/* Kinds of protocol, and what a full queue does: there is no silent default. */
#define WEIR_KIND_STREAM 1u    /**< streams of bytes: WEIR_EVENT_STREAM */
#define WEIR_KIND_MESSAGE 2u   /**< one-way messages, whole: WEIR_EVENT_MESSAGE */
#define WEIR_KIND_REQUEST 4u   /**< requests, each with one response: WEIR_EVENT_REQUEST */
#define WEIR_OVERFLOW_BLOCK 1u    /**< nothing more is taken; the sender waits */
#define WEIR_OVERFLOW_DROP_NEW 2u /**< what comes now is dropped, counted and told */
#define WEIR_OVERFLOW_DROP_OLD 3u /**< the oldest that waits goes for it */
#define WEIR_OVERFLOW_MERGE 4u    /**< it takes the place of the one with the same key; without one
                                       it is as DROP_NEW */

/** How a protocol is served. */
typedef struct weir_serve_options {
    uint32_t size;             /**< sizeof(weir_serve_options) as you compiled it */
    uint32_t urgency_plus1;    /**< urgency of this side's lane; 0 = default (3); 1 to 8 = urgency
                                    0 (first) to 7 */
    uint64_t user;             /**< given to each stream, message and request as its user tag */
    uint32_t kinds;            /**< 0: WEIR_KIND_STREAM. One kind, or WEIR_KIND_MESSAGE |
                                    WEIR_KIND_REQUEST. What comes in another way is refused with
                                    WEIR_REASON_KIND */
    uint32_t overflow;         /**< of messages that come faster than they are read:
                                    WEIR_OVERFLOW_DROP_NEW or DROP_OLD; must be given for
                                    WEIR_KIND_MESSAGE. Requests beyond the queues are always
                                    refused as busy */
    uint32_t message_max_bytes;/**< 0: the limit message_bytes (16 KiB), which is also the most */
    uint32_t request_max_bytes;/**< of a request; 0: 16 KiB; more than the first stream window only
                                    with request_chunked */
    uint64_t response_max_bytes; /**< what weir_request_respond takes in all; 0: no bound */
    uint32_t queue_per_peer;   /**< messages not read, or requests not answered, of one peer; 0: 64
                                    */
    uint32_t queue_max;        /**< of all peers; 0: 1024 */
    uint64_t deadline_us;      /**< within which a message or request has to arrive and be
                                    answered; 0: 30 s; WEIR_NONE: none */
    uint64_t progress_us;      /**< a peer that sends or takes less than progress_bytes within this
                                    time is given up with WEIR_REASON_TOO_SLOW; 0: 10 s; WEIR_NONE:
                                    whenever */
    uint32_t progress_bytes;   /**< 0: 1 */
    uint32_t request_chunked;  /**< 1: WEIR_EVENT_REQUEST comes as soon as a request begins, and its
                                    bytes are read with weir_stream_read */
    uint64_t retry_us;         /**< told to those who are refused as busy; 0: 1 s */
} weir_serve_options;

/** Serve a protocol: streams that peers open under this name appear as WEIR_EVENT_STREAM, messages
 *  as WEIR_EVENT_MESSAGE, requests as WEIR_EVENT_REQUEST. Names that are not served are refused
 *  with WEIR_REASON_PROTOCOL_NOT_SERVED.
 *  @param name  1 to 128 bytes of printable ASCII without spaces; names that begin with "weir/"
 *               are weir's own
 *  @return 0; WEIR_E_NAME, WEIR_E_EXISTS, WEIR_E_LIMIT; WEIR_E_ARGUMENT: weir_last_error says which
 *          option; WEIR_E_STATE it was served in another way, and messages or requests of then are
 *          not over
 *  @since  0.1 */
WEIR_API int32_t weir_node_serve(weir_node *node, const char *name,
                                 const weir_serve_options *options);

/** Stop serving a protocol. Streams that are open go on.
 *  @return 0, WEIR_E_NOT_FOUND; WEIR_E_STATE it is a feed: weir_feed_close ends it
 *  @since  0.1 */
WEIR_API int32_t weir_node_unserve(weir_node *node, const char *name);

/** No new work: listeners refuse, dials fail with WEIR_E_DRAINING; open streams go on. When none
 *  is left, or at the deadline, connections close with the reason and WEIR_EVENT_DRAINED comes.
 *  @param timeout_us  how long open streams may take; 0: close now
 *  @return 0, also the second time (a shorter deadline wins); WEIR_E_ARGUMENT the reason is a
 *          transport's
 *  @since  0.1 */
WEIR_API int32_t weir_node_drain(weir_node *node, uint32_t reason, uint64_t timeout_us);

struct weir_event;

/** Let go what was written, wait, take in what arrived, and fill events.
 *  @param cap         events that fit at events, at least 1
 *  @param timeout_us  how long to wait when there is nothing: 0 not at all, negative until
 *                     something happens
 *  @return events written, 0 to cap; WEIR_E_CLOSED, WEIR_E_NULL, WEIR_E_ARGUMENT; WEIR_E_STATE in
 *          a world: use weir_world_poll
 *  @since  0.1 */
WEIR_API int64_t weir_node_poll(weir_node *node, struct weir_event *events, uint32_t cap,
                                int64_t timeout_us);

/** A descriptor that becomes readable when weir_node_poll has something to do, its deadline
 *  included. For epoll and the like; valid until the node is closed.
 *  @return the descriptor; WEIR_E_STATE in a world
 *  @since  0.1 */
WEIR_API int32_t weir_node_fd(weir_node *node);

/** When weir_node_poll must be called next even if the descriptor stays silent, on the node's
 *  clock.
 *  @return microseconds; WEIR_NONE: never
 *  @since  0.1 */
WEIR_API uint64_t weir_node_deadline(weir_node *node);

/** Make a weir_node_poll that waits, in whatever thread, return.
 *  @return 0, WEIR_E_NULL, WEIR_E_CLOSED
 *  @thread any, a signal handler too, but not after weir_node_free has begun
 *  @since  0.1 */
WEIR_API int32_t weir_node_wake(weir_node *node);

/** Say that this machine's addresses or routes changed: another network, a lid that was opened.
 *  Every connection looks for a way at once, instead of waiting for a time-out: it takes another
 *  connection id, asks the peer to answer, and goes on without losing a stream.
 *  @return 0; WEIR_E_NULL, WEIR_E_CLOSED
 *  @thread the node's own
 *  @since  0.1 */
WEIR_API int32_t weir_node_network_changed(weir_node *node);

/** The node's clock: monotonic in the real world, virtual in a world.
 *  @return microseconds; 0 for NULL or a closed node
 *  @since  0.1 */
WEIR_API uint64_t weir_node_now(weir_node *node);

/** Which node of a world it is, as its events say.
 *  @return counted from 1; 0 in the real world, for NULL and for a closed node
 *  @since  0.1 */
WEIR_API uint64_t weir_node_number(weir_node *node);

/** The node's own peer id.
 *  @return 0, WEIR_E_NULL, WEIR_E_CLOSED
 *  @since  0.1 */
WEIR_API int32_t weir_node_peer(weir_node *node, weir_peer_id *peer);

/** The facts of the last call on this node that failed, or of the last dial, if that failed later.
 *  @param error  size set; filled up to it
 *  @return 0, WEIR_E_NULL, WEIR_E_SIZE
 *  @since  0.1 */
WEIR_API int32_t weir_last_error(weir_node *node, weir_error *error);

/** Totals since the node was made. */
typedef struct weir_node_statistics {
    uint32_t size;             /**< sizeof(weir_node_statistics) as you compiled it */
    uint32_t reserved;         /**< 0 */
    uint64_t bytes_sent, bytes_received;         /**< UDP payload */
    uint64_t datagrams_sent, datagrams_received;
    uint64_t packets_sent, packets_received, packets_lost;
    uint64_t connections_open, streams_open, peers_connected;
    uint64_t handshakes_completed, handshakes_failed;
    uint64_t stream_bytes_written, stream_bytes_read;
    uint64_t stalls;           /**< times a writer had to wait */
    uint64_t limits_reached;   /**< refusals by any limit or budget */
    uint64_t memory_bytes;     /**< charged to the budget now */
    uint64_t memory_max_bytes; /**< the budget */
} weir_node_statistics;

/** The totals. Set statistics->size first; filled up to it. In a world most are the world's.
 *  @return 0, WEIR_E_NULL, WEIR_E_SIZE, WEIR_E_CLOSED
 *  @since  0.1 */
WEIR_API int32_t weir_node_get_statistics(weir_node *node, weir_node_statistics *statistics);

/** One of the counters of docs/metrics.md, by its place in the table: walk from 0 until
 *  WEIR_E_NOT_FOUND.
 *  @param name  set to the metric's name with its labels; the library's, for ever. May be NULL
 *  @return 0 and *value, WEIR_E_NOT_FOUND
 *  @since  0.1 */
WEIR_API int32_t weir_node_metric(weir_node *node, uint32_t i, const char **name, uint64_t *value);

/** One of the limits in force, by its place in the table: walk from 0 until WEIR_E_NOT_FOUND.
 *  @param name  set to the limit's name; the library's, for ever. May be NULL
 *  @return 0 and *value, WEIR_E_NOT_FOUND
 *  @since  0.1 */
WEIR_API int32_t weir_node_limit(weir_node *node, uint32_t i, const char **name, uint64_t *value);

/** A limit in force, and where it comes from. */
typedef struct weir_limit_info {
    uint32_t size;             /**< sizeof(weir_limit_info) as you compiled it */
    uint32_t scope;            /**< 1 node, 2 peer, 3 connection, 4 protocol, 5 stream */
    uint64_t value;            /**< in force */
    uint64_t used;             /**< of limits of the node: used now; WEIR_NONE: not counted */
    uint64_t default_value;    /**< 0: derived from the memory budget or the peer count */
    char name[32];             /**< as in weir_error.limit_name */
    char unit[24];
    char why[160];             /**< the reason that it exists */
} weir_limit_info;

/** One of the limits, by its place in the table: walk from 0 until WEIR_E_NOT_FOUND.
 *  @return 0, WEIR_E_NOT_FOUND, WEIR_E_SIZE, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_node_limit_get_info(weir_node *node, uint32_t i, weir_limit_info *info);

/* ------------------------------------------------------------------ events */

/** What happened. 64 bytes for ever; flat, no pointers. */
typedef struct weir_event {
    uint32_t kind;             /**< WEIR_EVENT_*: the text of each names the fields that it fills */
    int32_t error;             /**< 0 or WEIR_E_* */
    uint64_t object;           /**< the handle that it is about */
    uint64_t parent;           /**< a stream's connection */
    uint64_t user;             /**< the object's user tag */
    uint64_t amount;           /**< bytes or a reason code: by kind */
    uint64_t time_us;          /**< when it was noticed, on the node's clock; of an event that the
                                    array before was too small for: when it was told */
    uint64_t node;             /**< in a world: whose event, counted from 1; else 0 */
    uint64_t reserved;         /**< 0 */
} weir_event;

/* Level facts (READABLE, WRITABLE) appear once until acted upon: after a read or write they are
 * looked at anew. End events (CONNECTION_CLOSED, STREAM_CLOSED) come exactly once and last, but for
 * the PEER_DOWN of that connection; the object stays readable until the next poll (in a world: the
 * next run). */
#define WEIR_EVENT_NONE 0
#define WEIR_EVENT_CONNECTED 1        /**< object: a connection that is up, dialled or accepted;
                                           parent: 0; amount: 1 if dialled */
#define WEIR_EVENT_CONNECTION_CLOSED 2/**< object: connection; error: why; amount: reason code.
                                           Also the one answer to a dial that failed */
#define WEIR_EVENT_STREAM 3           /**< object: a stream that the peer opened; parent:
                                           connection; user: the served protocol's tag. Or a local
                                           stream (parent 0) that is open now; amount: the size of
                                           its file */
#define WEIR_EVENT_READABLE 4         /**< object: stream; amount: bytes to read; error WEIR_E_END:
                                           and after them the lane ends */
#define WEIR_EVENT_WRITABLE 5         /**< object: stream on which a write took less than it was
                                           given; amount: bytes it would take now */
#define WEIR_EVENT_STREAM_RESET 6     /**< object: stream whose incoming lane the peer reset; error
                                           WEIR_E_RESET; amount: reason */
#define WEIR_EVENT_STREAM_STOPPED 7   /**< object: stream whose outgoing lane the peer does not
                                           want; error WEIR_E_STOPPED; amount: reason */
#define WEIR_EVENT_STREAM_CLOSED 8    /**< object: stream of which both lanes are over; amount:
                                           reason code, 0 for a clean end */
#define WEIR_EVENT_OPENABLE 9         /**< object: connection on which an open failed with
                                           WEIR_E_LIMIT: it has room now */
#define WEIR_EVENT_PEER_UP 10         /**< object: the first connection of a peer that had none;
                                           amount: 1 if dialled */
#define WEIR_EVENT_PEER_DOWN 11       /**< object: the last connection of a peer, just closed;
                                           amount: reason code */
#define WEIR_EVENT_OBSERVED 12        /**< object: connection whose peer told how it sees us:
                                           weir_connection_observed */
#define WEIR_EVENT_DRAINED 13         /**< the drain is complete; the node may be closed */
#define WEIR_EVENT_MOVED 14           /**< object: connection that went on over another path, which
                                           has answered: the peer's address changed, or ours did and
                                           weir_node_network_changed was called */
#define WEIR_EVENT_DATAGRAM 15        /**< object: stream of which an unreliable datagram waits;
                                           parent: connection; amount: how many wait. Once until
                                           one is read */
#define WEIR_EVENT_MESSAGE 16         /**< object: a message that came whole; parent: connection;
                                           user: the protocol's tag; amount: its bytes, which
                                           weir_message_read takes */
#define WEIR_EVENT_SENDABLE 17        /**< object: connection to which a message or request was not
                                           taken for want of room: there is room now */
#define WEIR_EVENT_REQUEST 18         /**< object: a request of the peer; parent: connection; user:
                                           the protocol's tag; amount: its bytes. With
                                           request_chunked: it began, and READABLE follows */
#define WEIR_EVENT_RESPONSE 19        /**< object: a request of ours that is answered; parent:
                                           connection; error 0: amount bytes wait for
                                           weir_message_read (WEIR_CHUNKED: the response began, and
                                           READABLE follows). Else it failed, amount: reason code,
                                           and this is its last event: WEIR_E_REFUSED (the peer
                                           said no, or busy: weir_request_get_info has its hint),
                                           WEIR_E_TIMEOUT (deadline or progress), WEIR_E_LIMIT (the
                                           response is too long), WEIR_E_PROTOCOL,
                                           WEIR_E_NOT_CONNECTED */
#define WEIR_EVENT_REQUEST_CLOSED 20  /**< object: a request of either side that is over, once and
                                           last; parent: connection; user; error: 0 it was
                                           answered to the end, WEIR_E_STOPPED the peer no longer
                                           wants the answer, WEIR_E_TIMEOUT, WEIR_E_NOT_CONNECTED
                                           ...; amount: reason code. Requests of ours that ended in
                                           a RESPONSE with an error, or of which weir_message_read
                                           took the response, have none */
#define WEIR_EVENT_FEED 21            /**< object: subscription with items to read:
                                           weir_feed_read; parent: connection; amount: bytes that
                                           wait. Once until it is read empty */
#define WEIR_EVENT_FEED_CLOSED 22     /**< object: subscription that is over, once and last; parent:
                                           connection; user; error, amount: why */
#define WEIR_EVENT_FETCH_PART 23      /**< object: fetch that has verified parts: weir_fetch_read;
                                           user; amount: parts that wait. Once until none waits */
#define WEIR_EVENT_FETCH_CLOSED 24    /**< object: fetch; error 0: every part was read; else why it
                                           cannot be: WEIR_E_UNREACHABLE no peer is left,
                                           WEIR_E_TIMEOUT; amount: reason code; user. Once and last
                                           */

/* ------------------------------------------------------------- connections */

/** How to dial. */
typedef struct weir_dial_options {
    uint32_t size;             /**< sizeof(weir_dial_options) as you compiled it */
    uint32_t reserved;         /**< 0 */
    uint64_t timeout_us;       /**< for all attempts together; 0: the node's */
    uint64_t user;             /**< the connection's user tag */
} weir_dial_options;

/** Dial an address: "host:port", "weir:PEERID@host:port", a multiaddr with or without /p2p/PEERID.
 *  Several addresses of one peer are separated by commas. Names are looked up; IPv6 and IPv4 are
 *  raced (RFC 8305). One event answers: WEIR_EVENT_CONNECTED or WEIR_EVENT_CONNECTION_CLOSED;
 *  weir_connection_report then says what each attempt met. When there is a connection to that peer
 *  already, its handle is returned and CONNECTED comes for it again. When both sides dial at once,
 *  one connection stays: a dial whose own connection loses gets CONNECTED for the other, then
 *  CONNECTION_CLOSED for its own handle with error 0 and WEIR_REASON_DUPLICATE.
 *  @return the connection's handle (positive); WEIR_E_ADDRESS; WEIR_E_PEER_ID not a peer id, the
 *          node's own, or two peers in one dial; WEIR_E_LIMIT; WEIR_E_DRAINING; WEIR_E_REFUSED by
 *          weir_peer_access; WEIR_E_NOT_FOUND it names a peer alone and the book has no address
 *  @since  0.1 */
WEIR_API int64_t weir_node_dial(weir_node *node, const char *address,
                                const weir_dial_options *options);

/** What is known of a connection. */
typedef struct weir_connection_info {
    uint32_t size;             /**< sizeof(weir_connection_info) as you compiled it */
    uint32_t state;            /**< 0 connecting, 1 up, 2 closed */
    uint32_t is_dialled;       /**< 1: this side dialled */
    uint32_t reason;           /**< once closed: the reason code */
    int32_t error;             /**< once closed: WEIR_E_* */
    uint32_t closed_by;        /**< once closed: 1 this side, 2 the peer, 3 time-out, 4 stateless
                                    reset, 5 handshake */
    uint64_t user;             /**< the user tag */
    uint64_t rtt_us;           /**< smoothed round trip; 0: not measured */
    uint64_t rtt_min_us;       /**< smallest round trip */
    uint64_t bytes_sent, bytes_received;
    uint64_t packets_sent, packets_received, packets_lost;
    uint64_t congestion_window_bytes, in_flight_bytes;
    uint64_t streams_open;
    uint64_t memory_bytes;     /**< what the connection costs this node now */
    weir_peer_id peer;         /**< len 0 until the peer is known */
    char transport[16];        /**< "udp", "memory" */
    char network[72];          /**< the peer's network name */
    char remote[80];           /**< the peer's address as we see it */
    char local[80];            /**< ours, if known */
    char closed_text[128];     /**< once closed: what the closer said; from a peer it is untrusted
                                    */
    uint32_t datagram_bytes;   /**< UDP payload that the path carries, as far as is known */
    uint32_t datagram_max;     /**< longest message that weir_datagram_send takes; 0: the peer takes
                                    none */
    uint32_t cipher;           /**< 0 none (memory), 1 ChaCha20-Poly1305, 2 AES-256-GCM */
    uint32_t ecn;              /**< 1: the path carries congestion marks */
    uint64_t moves;            /**< how often the connection went on over another path */
    uint64_t key_updates;      /**< new keys since the handshake */
    uint64_t spurious_losses;  /**< packets given up that arrived after all */
} weir_connection_info;

/** What is known of a connection, one that was closed included until the next poll.
 *  @return 0; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_SIZE, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_connection_get_info(weir_node *node, uint64_t connection,
                                          weir_connection_info *info);

/** What the dial of a connection met, one line per attempt, as text.
 *  @return the length without the zero (cut to cap); WEIR_E_STALE, WEIR_E_KIND; WEIR_E_NOT_FOUND
 *          it was not dialled; WEIR_E_SPACE cap is 0
 *  @since  0.1 */
WEIR_API int32_t weir_connection_report(weir_node *node, uint64_t connection, char *text,
                                        uint32_t cap);

/** The address under which the peer sees us, as text.
 *  @return the length; WEIR_E_NOT_FOUND it has not said so yet; WEIR_E_SPACE; WEIR_E_STALE,
 *          WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_connection_observed(weir_node *node, uint64_t connection, char *text,
                                          uint32_t cap);

/** Close a connection and all its streams at once. The peer reads reason and text.
 *  @param reason  below 0x10000000
 *  @param text    at most 120 bytes are sent; may be NULL
 *  @return 0, also for one that has ended; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_ARGUMENT
 *  @since  0.1 */
WEIR_API int32_t weir_connection_close(weir_node *node, uint64_t connection, uint32_t reason,
                                       const char *text);

/** Give a connection a number of yours: it comes with its events.
 *  @return 0, WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_connection_set_user(weir_node *node, uint64_t connection, uint64_t user);

/* ----------------------------------------------------------------- streams */

#define WEIR_MORE 1u           /**< more follows: hold a partial packet */
#define WEIR_FIN 2u            /**< these are the last bytes of this lane */
#define WEIR_ONE_WAY 4u        /**< weir_stream_open: only this side writes */

/** How to open a stream. */
typedef struct weir_stream_options {
    uint32_t size;             /**< sizeof(weir_stream_options) as you compiled it */
    uint32_t urgency_plus1;    /**< 0 = default (3); 1 to 8 = urgency 0 (first) to 7 */
    uint32_t flags;            /**< 0 or WEIR_ONE_WAY */
    uint32_t reserved;         /**< 0 */
    uint64_t user;             /**< the stream's user tag */
} weir_stream_options;

/** Open a stream for a protocol. Needs no round trip: the name leaves with the first bytes, or
 *  alone when you come back to poll. If the peer does not serve it, the stream is reset and
 *  stopped with WEIR_REASON_PROTOCOL_NOT_SERVED.
 *  @return the stream's handle (positive); WEIR_E_NOT_CONNECTED; WEIR_E_LIMIT the peer allows no
 *          more streams: wait for WEIR_EVENT_OPENABLE; WEIR_E_BUDGET; WEIR_E_NAME; WEIR_E_STALE,
 *          WEIR_E_KIND; WEIR_E_DRAINING
 *  @since  0.1 */
WEIR_API int64_t weir_stream_open(weir_node *node, uint64_t connection, const char *protocol,
                                  const weir_stream_options *options);

/** Queue bytes on the local lane of a stream.
 *
 *  Takes what the peer's credit and the send budget allow, and copies it. Sent when the node is
 *  next polled.
 *  @param len    bytes at data; 0 with WEIR_FIN only finishes the lane
 *  @param flags  WEIR_MORE, WEIR_FIN. WEIR_FIN takes effect only when all bytes were taken
 *  @return bytes taken, 0 to len; fewer than len: wait for WEIR_EVENT_WRITABLE
 *  @error  WEIR_E_STALE stream is gone; WEIR_E_FINISHED lane was finished or reset by this side;
 *          WEIR_E_STOPPED the peer does not want it; WEIR_E_ONE_WAY; WEIR_E_NOT_CONNECTED
 *  @owner  data stays yours and may be reused at return
 *  @limit  stream_send; counted in weir_send_stalls_total
 *  @since  0.1 */
WEIR_API int64_t weir_stream_write(weir_node *node, uint64_t stream, const void *data,
                                   uint32_t len, uint32_t flags);

/** Let go at once what was written to the stream, WEIR_MORE or not.
 *  @return 0, WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_stream_flush(weir_node *node, uint64_t stream);

/** Look at the bytes that wait to be read, without copying.
 *  @param data  set to the first contiguous piece; valid until the stream is consumed, read or
 *               stopped, or the node is polled or closed
 *  @return bytes at *data; 0 nothing yet: wait for WEIR_EVENT_READABLE; WEIR_E_END everything was
 *          read and the peer finished; WEIR_E_RESET; WEIR_E_STOPPED this side stopped it;
 *          WEIR_E_STALE, WEIR_E_KIND, WEIR_E_ONE_WAY
 *  @since  0.1 */
WEIR_API int64_t weir_stream_peek(weir_node *node, uint64_t stream, const void **data);

/** Say that bytes were dealt with: they are dropped and the peer gets credit for as many.
 *  @return 0; WEIR_E_ARGUMENT more than there are; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_ONE_WAY
 *  @since  0.1 */
WEIR_API int32_t weir_stream_consume(weir_node *node, uint64_t stream, uint64_t bytes);

/** Copy and consume.
 *  @return bytes copied, 0 to cap; 0 nothing yet; WEIR_E_END, WEIR_E_RESET and the others as
 *          weir_stream_peek
 *  @since  0.1 */
WEIR_API int64_t weir_stream_read(weir_node *node, uint64_t stream, void *data, uint32_t cap);

/** Finish the local lane: the peer reads to the end. The same as a write of 0 bytes with WEIR_FIN.
 *  @return 0, also when it is finished already; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_ONE_WAY
 *  @since  0.1 */
WEIR_API int32_t weir_stream_finish(weir_node *node, uint64_t stream);

/** Give up the local lane: what was not delivered is dropped, the peer reads the reason.
 *  @param reason  below 0x10000000, or one of WEIR_REASON_OVERLOAD, LIMIT, CANCELLED, TOO_LARGE,
 *                 TOO_SLOW, DEADLINE, FORMAT, SCRIPT, SCRIPT_LIMIT
 *  @return 0, also when the lane is over; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_ONE_WAY,
 *          WEIR_E_ARGUMENT
 *  @since  0.1 */
WEIR_API int32_t weir_stream_reset(weir_node *node, uint64_t stream, uint32_t reason);

/** Want no more of the peer's lane: what waits is dropped, the peer is asked to stop.
 *  @param reason  below 0x10000000, or one of WEIR_REASON_OVERLOAD, LIMIT, CANCELLED, TOO_LARGE,
 *                 TOO_SLOW, DEADLINE, FORMAT, SCRIPT, SCRIPT_LIMIT
 *  @return 0, also when the lane is over; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_ONE_WAY,
 *          WEIR_E_ARGUMENT
 *  @since  0.1 */
WEIR_API int32_t weir_stream_stop(weir_node *node, uint64_t stream, uint32_t reason);

/** Change which streams of the connection go first on this side. Each urgency keeps a small floor.
 *  @param urgency  0 (first) to 7
 *  @return 0, WEIR_E_ARGUMENT, WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_stream_set_urgency(weir_node *node, uint64_t stream, uint32_t urgency);

/** Give a stream a number of yours: it comes with its events.
 *  @return 0, WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_stream_set_user(weir_node *node, uint64_t stream, uint64_t user);

/** Send an unreliable datagram on a stream: it arrives whole, once, or never, and overtakes. It
 *  means what the stream's protocol says, and goes with the stream. Good for what is worth nothing
 *  when it is late.
 *  @param len  0 to weir_connection_info.datagram_max
 *  @return 0: it waits to leave at the next poll; WEIR_E_LIMIT 64 wait already; WEIR_E_ARGUMENT it
 *          is too long; WEIR_E_UNSUPPORTED the peer takes none; WEIR_E_NOT_CONNECTED also when this
 *          side reset the stream; WEIR_E_BUDGET, WEIR_E_MEMORY, WEIR_E_STALE, WEIR_E_KIND,
 *          WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_datagram_send(weir_node *node, uint64_t stream, const void *data,
                                    uint32_t len);

/** Take the oldest datagram of a stream. At most 64 of a connection are kept: for a newer one the
 *  oldest goes.
 *  @return its length, 0 included; WEIR_E_NOT_FOUND none waits; WEIR_E_SPACE it is longer than cap
 *          and stays; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int64_t weir_datagram_read(weir_node *node, uint64_t stream, void *data, uint32_t cap);

/** What is known of a stream. */
typedef struct weir_stream_info {
    uint32_t size;             /**< sizeof(weir_stream_info) as you compiled it */
    uint32_t is_local;         /**< 1: this side opened it */
    uint32_t is_one_way;       /**< 1: only the opener writes */
    uint32_t urgency;          /**< 0 to 7 */
    uint32_t write_state;      /**< 0 open, 1 finished, 2 reset by us, 3 over */
    uint32_t read_state;       /**< 0 open, 1 the peer finished, 2 the peer reset it, 3 over */
    uint32_t write_reason;     /**< the reason of our reset or the peer's stop */
    uint32_t read_reason;      /**< the reason of the peer's reset or our stop */
    uint64_t user;             /**< the user tag */
    uint64_t connection;       /**< its connection */
    uint64_t id;               /**< its number on the wire */
    uint64_t bytes_written;    /**< taken from the application */
    uint64_t bytes_acknowledged; /**< of those, the peer has for certain */
    uint64_t bytes_readable;   /**< can be read now */
    uint64_t bytes_read;       /**< consumed */
    uint64_t bytes_writable;   /**< a write would take now */
    uint32_t blocked_by;       /**< 0 not, 1 the peer's stream credit, 2 its connection credit, 3
                                    our budget, 4 our send limit */
    uint32_t blocked_on;       /**< 0 nobody, 1 the peer, 2 this node */
    uint64_t blocked_since_us; /**< since when */
    char protocol[136];        /**< its protocol's name */
} weir_stream_info;

/** What is known of a stream: how far it is, and if its writer waits, why, on whom, since when.
 *  @return 0; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_SIZE, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_stream_get_info(weir_node *node, uint64_t stream, weir_stream_info *info);

/* -------------------------------------------- messages, requests */

/* A message travels on its own one-way stream, a request on a stream of its own, so none waits for
 * another. Both sides know their bounds; what is longer, slower or later than agreed ends with a
 * reason that both sides read. Longer things are asked for in parts (weir_fetch_open). */

/** How to send a message. */
typedef struct weir_message_options {
    uint32_t size;             /**< sizeof(weir_message_options) as you compiled it */
    uint32_t urgency_plus1;    /**< 0 = default (3); 1 to 8 = urgency 0 (first) to 7 */
    uint32_t overflow;         /**< when messages_out wait for the peer's credit already: 0 is
                                    WEIR_OVERFLOW_BLOCK; DROP_NEW, DROP_OLD, MERGE */
    uint32_t reserved;         /**< 0 */
    uint64_t key;              /**< of WEIR_OVERFLOW_MERGE: while one with the same protocol and key
                                    waits, this one takes its place */
} weir_message_options;

/** Send a message, whole or not at all. It leaves when the node is next polled; while the peer's
 *  credit does not take it, it waits in the connection's queue (limit messages_out).
 *  @param len  at most the limit message_bytes (16 KiB)
 *  @return 1 taken; 0 the queue is full and the message was not taken: wait for
 *          WEIR_EVENT_SENDABLE (BLOCK), or it was dropped and counted (DROP_NEW; of DROP_OLD the
 *          oldest was); WEIR_E_NOT_CONNECTED; WEIR_E_ARGUMENT too long for a message, or for the
 *          peer's streams; WEIR_E_NAME, WEIR_E_DRAINING, WEIR_E_STALE, WEIR_E_KIND
 *  @owner  data stays yours and may be reused at return
 *  @since  0.1 */
WEIR_API int32_t weir_message_send(weir_node *node, uint64_t connection, const char *protocol,
                                   const void *data, uint32_t len,
                                   const weir_message_options *options);

/** Take a message, or the whole bytes of a request or response. A message and a response are over
 *  then, and their handles stale.
 *  @return its length, 0 included; WEIR_E_SPACE it is longer than cap and stays (data NULL, cap 0:
 *          how weir_stream_peek can look at it first); WEIR_E_STATE it is not whole (yet), or
 *          chunked; of a request that failed its error; WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int64_t weir_message_read(weir_node *node, uint64_t object, void *data, uint32_t cap);

#define WEIR_CHUNKED 8u        /**< weir_request_send: the response is read with weir_stream_read as
                                    it comes */

/** How to ask. */
typedef struct weir_request_options {
    uint32_t size;             /**< sizeof(weir_request_options) as you compiled it */
    uint32_t urgency_plus1;    /**< 0 = default (3); 1 to 8 = urgency 0 (first) to 7 */
    uint32_t flags;            /**< 0, WEIR_CHUNKED; WEIR_MORE: the request goes on with
                                    weir_stream_write, to WEIR_FIN */
    uint32_t progress_bytes;   /**< 0: 1 */
    uint64_t progress_us;      /**< less than progress_bytes come or go within this time, once the
                                    first byte came: give up with WEIR_REASON_TOO_SLOW; 0: 10 s;
                                    WEIR_NONE: whenever */
    uint64_t deadline_us;      /**< until the response is there (WEIR_CHUNKED: whole); 0: 30 s;
                                    WEIR_NONE: none. A connection on which nothing is heard for the
                                    idle timeout ends before, unless weir_peer_hold keeps it up */
    uint64_t response_max_bytes; /**< 0: the first stream window (128 KiB), which is the most of a
                                    response that is not WEIR_CHUNKED */
    uint64_t user;             /**< the request's user tag */
} weir_request_options;

/** Ask. Needs no round trip before the request leaves; while the peer's credit or stream limit does
 *  not take it, it waits in the connection's queue (limit messages_out). One event answers:
 *  WEIR_EVENT_RESPONSE. Its handle serves the calls of streams too: write, flush, finish, peek,
 *  set_user, set_urgency, and with WEIR_CHUNKED read and consume (else WEIR_E_STATE).
 *  @param len  at most 16 KiB at once; more with WEIR_MORE
 *  @return the request's handle (positive); 0 the queue is full: wait for WEIR_EVENT_SENDABLE;
 *          WEIR_E_NOT_CONNECTED, WEIR_E_ARGUMENT, WEIR_E_LIMIT too many are under way
 *          (requests_out), WEIR_E_NAME, WEIR_E_DRAINING, WEIR_E_STALE, WEIR_E_KIND
 *  @owner  data stays yours
 *  @since  0.1 */
WEIR_API int64_t weir_request_send(weir_node *node, uint64_t connection, const char *protocol,
                                   const void *data, uint32_t len,
                                   const weir_request_options *options);

/** Answer a request of a peer, in one or several pieces.
 *  @param flags  WEIR_MORE: the response goes on; without it, it ends as soon as all is taken
 *  @return bytes taken, 0 to len; fewer: wait for WEIR_EVENT_WRITABLE with the request's handle;
 *          WEIR_E_LIMIT longer than response_max_bytes: nothing was taken; WEIR_E_STOPPED the peer
 *          no longer wants it; WEIR_E_FINISHED it was answered; WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int64_t weir_request_respond(weir_node *node, uint64_t request, const void *data,
                                      uint32_t len, uint32_t flags);

/** Refuse a request of a peer: its asker gets WEIR_E_REFUSED with these facts. The request is over,
 *  and its handle stale at the next poll.
 *  @param reason    below 0x10000000, or WEIR_REASON_OVERLOAD: busy
 *  @param retry_us  when to ask again; 0: no hint
 *  @param text      for people, at most 120 bytes are sent; may be NULL
 *  @return 0; WEIR_E_STATE a response has begun: weir_request_cancel ends it; WEIR_E_ARGUMENT,
 *          WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_request_refuse(weir_node *node, uint64_t request, uint32_t reason,
                                     uint64_t retry_us, const char *text);

/** Give a request up, on either side, or drop a message unread. No event follows; the handle is
 *  stale at once. The other side is told the reason.
 *  @param reason  as of weir_stream_reset
 *  @return 0, WEIR_E_ARGUMENT, WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_request_cancel(weir_node *node, uint64_t request, uint32_t reason);

/** What is known of a message or request. */
typedef struct weir_request_info {
    uint32_t size;             /**< sizeof(weir_request_info) as you compiled it */
    uint32_t is_local;         /**< 1: asked by this side */
    uint32_t kind;             /**< WEIR_KIND_MESSAGE or WEIR_KIND_REQUEST */
    uint32_t state;            /**< 0 waits for room, 1 going out or coming in, 2 asked and not
                                    answered, 3 the response began, 4 over */
    int32_t error;             /**< once over: 0 or WEIR_E_* */
    uint32_t reason;           /**< once over: WEIR_REASON_* */
    uint64_t retry_us;         /**< refused: the peer's hint; 0: none */
    uint64_t connection, user;
    uint64_t bytes_in, bytes_out;
    uint64_t begun_us;         /**< on the node's clock */
    uint64_t answered_us;      /**< when the response began; 0: not yet */
    uint64_t deadline_us;      /**< when it is given up; WEIR_NONE: never */
    char text[128];            /**< what a refusing peer said: untrusted */
    char protocol[136];
} weir_request_info;

/** What is known of a message or request, one that failed included until the next poll.
 *  @return 0; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_SIZE, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_request_get_info(weir_node *node, uint64_t request, weir_request_info *info);

/* ------------------------------------------------------------------- feeds */

/* A feed tells its subscribers what changes. A subscriber that is slow, or stalled, costs at most
 * one slot per key, and is told how much was merged or dropped. */
#define WEIR_FEED_STATE 1u     /**< keyed: the newest value takes the place of the one not yet sent;
                                    who subscribes gets the present values first */
#define WEIR_FEED_SUM 2u       /**< keyed: what was not yet sent is added up */
#define WEIR_FEED_DROP_OLDEST 3u /**< the last events_max are kept; who is slower misses some */

/** How a feed is made. */
typedef struct weir_feed_options {
    uint32_t size;             /**< sizeof(weir_feed_options) as you compiled it */
    uint32_t kind;             /**< WEIR_FEED_*; must be given */
    uint32_t keys_max;         /**< keys (STATE, SUM) or events kept (DROP_OLDEST); must be given;
                                    at most the limit feed_keys */
    uint32_t item_max_bytes;   /**< longest value; 0: 1 KiB; at most the limit feed_item */
    uint32_t subscribers_max;  /**< 0: 1024; of them at most 4 on one connection */
    uint32_t urgency_plus1;    /**< 0 = default (3) */
    uint64_t user;             /**< reserved for events of the feed: 0 */
} weir_feed_options;

/** Make a feed, which peers subscribe to by its name.
 *  @param name  as of weir_node_serve
 *  @return the feed's handle (positive); WEIR_E_NAME, WEIR_E_EXISTS, WEIR_E_ARGUMENT, WEIR_E_LIMIT
 *  @since  0.1 */
WEIR_API int64_t weir_feed_open(weir_node *node, const char *name,
                                const weir_feed_options *options);

/** Tell all subscribers a value.
 *  @param key   1 to 64 bytes (STATE); key_len 0 for DROP_OLDEST
 *  @param data  the value; data NULL with len 0 removes the key (STATE)
 *  @return the number of subscribers; WEIR_E_LIMIT keys_max other keys exist; WEIR_E_ARGUMENT too
 *          long, or a feed of another kind; WEIR_E_BUDGET, WEIR_E_MEMORY, WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int64_t weir_feed_publish(weir_node *node, uint64_t feed, const void *key,
                                   uint32_t key_len, const void *data, uint32_t len);

/** Add to a key of a feed of sums. A subscriber gets what was added since its last item.
 *  @return as weir_feed_publish
 *  @since  0.1 */
WEIR_API int64_t weir_feed_add(weir_node *node, uint64_t feed, const void *key, uint32_t key_len,
                               int64_t amount);

/** End a feed or a subscription. Subscribers read the reason. No event follows on this side.
 *  @param reason  below 0x10000000
 *  @return 0, WEIR_E_ARGUMENT, WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_feed_close(weir_node *node, uint64_t feed, uint32_t reason);

/** Subscribe to a peer's feed.
 *  @param user  the subscription's user tag
 *  @return the subscription's handle (positive); as weir_stream_open
 *  @since  0.1 */
WEIR_API int64_t weir_feed_subscribe(weir_node *node, uint64_t connection, const char *name,
                                     uint64_t user);

/** An item of a feed. */
typedef struct weir_feed_item {
    uint32_t size;             /**< sizeof(weir_feed_item) as you compiled it */
    uint32_t kind;             /**< WEIR_FEED_* */
    uint32_t key_len;          /**< 0 to 64 */
    uint32_t is_removed;       /**< 1: the key is gone (STATE) */
    int64_t sum;               /**< of WEIR_FEED_SUM */
    uint64_t missed;           /**< values merged into this one (STATE, SUM), or events dropped
                                    before this one (DROP_OLDEST) */
    uint8_t key[64];
} weir_feed_item;

/** Take the next item of a subscription.
 *  @param item  size set; filled
 *  @param data  room for the value
 *  @return the value's length, 0 included; WEIR_E_NOT_FOUND none waits: WEIR_EVENT_FEED follows;
 *          WEIR_E_SPACE it is longer than cap and stays; WEIR_E_END the publisher closed the feed;
 *          WEIR_E_RESET, WEIR_E_PROTOCOL, WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int64_t weir_feed_read(weir_node *node, uint64_t subscription, weir_feed_item *item,
                                void *data, uint32_t cap);

/** What is known of a feed or a subscription. */
typedef struct weir_feed_info {
    uint32_t size;             /**< sizeof(weir_feed_info) as you compiled it */
    uint32_t kind;             /**< WEIR_FEED_*; of a subscription 0 until the first item came */
    uint32_t is_local;         /**< 1: published by this side */
    uint32_t subscribers;
    uint32_t keys;             /**< known, or events kept */
    uint32_t queued_max;       /**< items that wait for the slowest subscriber */
    uint64_t published;        /**< values given to publish or add; of a subscription: items read */
    uint64_t sent;             /**< items that left, over all subscribers */
    uint64_t missed;           /**< merged or dropped, over all subscribers */
    uint64_t memory_bytes;
} weir_feed_info;

/** What is known of a feed or a subscription.
 *  @return 0; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_SIZE, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_feed_get_info(weir_node *node, uint64_t feed, weir_feed_info *info);

/* ------------------------------------------------------------------- fetch */

/* Big things are many small requests. A fetch asks several peers for ranges of one thing, keeps
 * little in flight, asks elsewhere for what is late or wrong, and hands over parts that are
 * verified; the caller stores them. To the peers each part is a request of the named protocol
 * (chunked or not): its bytes are the offset and the length as variable-length integers (RFC 9000,
 * section 16), then `data`; the response is that range and nothing else. */

/** What to fetch. */
typedef struct weir_fetch_options {
    uint32_t size;             /**< sizeof(weir_fetch_options) as you compiled it */
    uint32_t part_bytes;       /**< 0: 1 MiB; 1 KiB to 16 MiB */
    uint64_t total_bytes;      /**< of the thing; must be given */
    const void *data;          /**< which thing, in the protocol's words: sent with each request.
                                    Copied */
    uint32_t data_len;         /**< at most 1024 */
    uint32_t parts_in_flight;  /**< over all peers; 0: 8; fewer if the budget says so */
    const void *hashes;        /**< BLAKE2b-256 of each part, WEIR_HASH_BYTES each, in order; NULL:
                                    parts are not verified. Copied */
    uint64_t progress_us;      /**< a peer that sends less than progress_bytes within this time
                                    loses its parts; 0: 5 s */
    uint64_t deadline_us;      /**< for everything; 0 or WEIR_NONE: none */
    uint32_t progress_bytes;   /**< 0: 1 */
    uint32_t urgency_plus1;    /**< 0 = 6 (urgency 5) */
    uint64_t user;             /**< the fetch's user tag */
    const void *have;          /**< a bit per part (bit 0 of byte 0 first), 1: it is here already;
                                    NULL: none is. Copied */
} weir_fetch_options;

/** Begin a fetch. Nothing is asked before a peer is added.
 *  @return the fetch's handle (positive); WEIR_E_ARGUMENT, WEIR_E_NAME, WEIR_E_LIMIT (fetches,
 *          fetch_parts), WEIR_E_BUDGET, WEIR_E_DRAINING
 *  @since  0.1 */
WEIR_API int64_t weir_fetch_open(weir_node *node, const char *protocol,
                                 const weir_fetch_options *options);

/** Fetch from this connection's peer too. A peer that failed may be added again.
 *  @return 0; WEIR_E_NOT_CONNECTED, WEIR_E_LIMIT (fetch_peers), WEIR_E_EXISTS, WEIR_E_STALE,
 *          WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_fetch_add(weir_node *node, uint64_t fetch, uint64_t connection);

/** Take a part that came and was verified.
 *  @param offset  set to its place in the thing
 *  @param cap     part_bytes always suffices
 *  @return its length; WEIR_E_NOT_FOUND none waits; WEIR_E_SPACE; WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int64_t weir_fetch_read(weir_node *node, uint64_t fetch, uint64_t *offset, void *data,
                                 uint32_t cap);

/** A part that was read turns out to be wrong: it is asked for again, elsewhere, and its peer is
 *  counted as corrupt.
 *  @return 0; WEIR_E_ARGUMENT no part begins there, or it was not read; WEIR_E_STATE the fetch is
 *          closed; WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_fetch_reject(weir_node *node, uint64_t fetch, uint64_t offset);

/** How far a fetch is. */
typedef struct weir_fetch_info {
    uint32_t size;             /**< sizeof(weir_fetch_info) as you compiled it */
    uint32_t peers;            /**< that it asks now */
    uint64_t parts, parts_done;/**< in all; verified and read */
    uint64_t bytes_done, total_bytes;
    uint64_t in_flight;        /**< parts asked for now */
    uint64_t retried;          /**< parts asked for again: late, refused, lost with their peer */
    uint64_t doubled;          /**< parts asked of a second peer near the end */
    uint64_t corrupt;          /**< parts that did not verify */
    uint64_t begun_us;
    uint64_t bytes_per_second; /**< over the last seconds */
} weir_fetch_info;

/** How far it is.
 *  @return 0; WEIR_E_STALE, WEIR_E_KIND, WEIR_E_SIZE, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_fetch_get_info(weir_node *node, uint64_t fetch, weir_fetch_info *info);

/** Give a fetch up. No event follows.
 *  @return 0, WEIR_E_STALE, WEIR_E_KIND
 *  @since  0.1 */
WEIR_API int32_t weir_fetch_cancel(weir_node *node, uint64_t fetch);

/* ----------------------------------------------------------- local streams */

/* Files, child processes and Unix sockets as streams of this node: written, read, finished and
 * reset with the same calls, with the same events, credit and budgets. Their connection is 0.
 * WEIR_EVENT_STREAM says that one is open (it may be written before); a failure ends it:
 * WEIR_EVENT_STREAM_CLOSED with its error. In a world each node has files
 * of its own, in memory (weir_world_file), and neither children nor sockets. */
#define WEIR_FILE_READ 1u      /**< read it from its beginning; the stream has no outgoing lane */
#define WEIR_FILE_WRITE 2u     /**< make it, or empty it, and write; no incoming lane. WEIR_FIN
                                    writes everything to the disk before the stream is over */
#define WEIR_FILE_APPEND 4u    /**< as WRITE, after what is there */
#define WEIR_FILE_NEW 8u       /**< with WRITE: it must not exist */
#define WEIR_FILE_KEEP 16u     /**< with WRITE: do not empty it, whatever the offset */

/** Open a file as a stream. Pipes with a name and terminals are read as they come; a pipe that
 *  nobody reads cannot be written to (WEIR_E_IO), one whose reader leaves ends with
 *  WEIR_E_PEER_CLOSED.
 *  @param offset  with WEIR_FILE_READ: where to begin; with WRITE: where to begin to write; if it
 *                 is not 0, what is there is kept
 *  @return the stream's handle (positive); WEIR_E_ARGUMENT; WEIR_E_LIMIT (local_streams). What the
 *          system says (WEIR_E_NOT_FOUND, WEIR_E_PERMISSION, WEIR_E_EXISTS, WEIR_E_IO) comes with
 *          WEIR_EVENT_STREAM_CLOSED
 *  @since  0.1 */
WEIR_API int64_t weir_file_open(weir_node *node, const char *path, uint32_t flags, uint64_t offset,
                                uint64_t user);

/** Start a child process: the stream is its standard input and output; its standard error is
 *  ours. Resetting the stream kills it; WEIR_EVENT_STREAM_CLOSED comes when it has ended, amount:
 *  its exit code, or 256 + the signal that ended it. While children run, SIGCHLD is the library's,
 *  and a program that waits for any child (waitpid of -1) may take the exit of one of them.
 *  @param arguments  the program (looked up in PATH), its arguments, NULL
 *  @return the stream's handle (positive); WEIR_E_ARGUMENT, WEIR_E_LIMIT (children),
 *          WEIR_E_UNSUPPORTED in a world
 *  @since  0.1 */
WEIR_API int64_t weir_child_open(weir_node *node, const char *const *arguments, uint64_t user);

/** Connect to a Unix socket.
 *  @return the stream's handle (positive); WEIR_E_ARGUMENT, WEIR_E_LIMIT (local_streams),
 *          WEIR_E_UNSUPPORTED in a world
 *  @since  0.1 */
WEIR_API int64_t weir_unix_open(weir_node *node, const char *path, uint64_t user);

/* ------------------------------------------------------------------- peers */

/** What is known of a peer. */
typedef struct weir_peer_info {
    uint32_t size;             /**< sizeof(weir_peer_info) as you compiled it; of every element of
                                    an array, set in the first */
    uint32_t connections;      /**< connections that are up */
    uint32_t holds;            /**< weir_peer_hold without weir_peer_release */
    uint32_t access;           /**< WEIR_ACCESS_* */
    uint32_t addresses;        /**< addresses in the book */
    uint32_t is_dialled;       /**< 1: the connection was dialled by this side */
    uint64_t connection;       /**< the connection to use; 0: none */
    uint64_t rtt_us;           /**< its smoothed round trip */
    uint64_t up_since_us;      /**< since when it is connected; 0: it is not */
    weir_peer_id peer;
} weir_peer_info;

#define WEIR_ACCESS_DEFAULT 0u /**< as the node's refuse_unknown says */
#define WEIR_ACCESS_ACCEPT 1u
#define WEIR_ACCESS_REFUSE 2u

/** List peers: connected, held, or with an access rule.
 *  @param peers  room for cap elements; peers[0].size set
 *  @param cap    0 with peers NULL only counts
 *  @return how many there are (it may be more than cap; then cap were written)
 *  @since  0.1 */
WEIR_API int32_t weir_peer_list(weir_node *node, weir_peer_info *peers, uint32_t cap);

/** What is known of one peer. Set info->size first.
 *  @return 0; WEIR_E_NOT_FOUND nothing is known of that peer; WEIR_E_SIZE, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_peer_get_info(weir_node *node, const weir_peer_id *peer,
                                    weir_peer_info *info);

/** Keep the connection to a peer up: keep-alives are sent while anything holds it. Holds are
 *  counted.
 *  @return 0, WEIR_E_LIMIT, WEIR_E_PEER_ID
 *  @since  0.1 */
WEIR_API int32_t weir_peer_hold(weir_node *node, const weir_peer_id *peer);

/** Undo one hold. A connection that nothing holds and that has no stream may end when it is idle.
 *  @return 0; WEIR_E_STATE it was not held
 *  @since  0.1 */
WEIR_API int32_t weir_peer_release(weir_node *node, const weir_peer_id *peer);

/** Dial a peer through the address book.
 *  @return as weir_node_dial; WEIR_E_NOT_FOUND the book has no address of that peer
 *  @since  0.1 */
WEIR_API int64_t weir_peer_dial(weir_node *node, const weir_peer_id *peer,
                                const weir_dial_options *options);

/** Put an address of a peer into the book, as configured by the application.
 *  @return 0; WEIR_E_ADDRESS; WEIR_E_LIMIT; WEIR_E_PEER_ID not a peer id, or the address names
 *          another peer
 *  @since  0.1 */
WEIR_API int32_t weir_peer_add_address(weir_node *node, const weir_peer_id *peer,
                                       const char *address);

/** Put an address of a peer into the book that another peer told: it counts against that peer's
 *  quota, displaces nothing that is better proven, and expires after an hour.
 *  @param from  who told it
 *  @return 0; WEIR_E_ADDRESS, also for one that must not be dialled on hearsay; WEIR_E_LIMIT the
 *          quota of `from` is used up; WEIR_E_PEER_ID
 *  @since  0.1 */
WEIR_API int32_t weir_peer_hear(weir_node *node, const weir_peer_id *peer, const char *address,
                                const weir_peer_id *from);

/** The i-th address of a peer in the book, best first, as multiaddr text.
 *  @return the length without the zero; WEIR_E_NOT_FOUND, WEIR_E_SPACE
 *  @since  0.1 */
WEIR_API int32_t weir_peer_address(weir_node *node, const weir_peer_id *peer, uint32_t i,
                                   char *text, uint32_t cap);

/** Accept or refuse a peer by id. Connections that may no longer be are closed with
 *  WEIR_REASON_REFUSED, and dials to a refused peer fail. Takes effect at once.
 *  @param access  WEIR_ACCESS_*
 *  @return 0, WEIR_E_ARGUMENT, WEIR_E_PEER_ID, WEIR_E_LIMIT
 *  @since  0.1 */
WEIR_API int32_t weir_peer_access(weir_node *node, const weir_peer_id *peer, uint32_t access);

/** Accept or refuse peers by the network name that they announce. By default a node accepts its
 *  own network's.
 *  @param name    at most 64 bytes; "" is the network without a name
 *  @param access  WEIR_ACCESS_*
 *  @return 0, WEIR_E_ARGUMENT, WEIR_E_NAME, WEIR_E_LIMIT
 *  @since  0.1 */
WEIR_API int32_t weir_network_access(weir_node *node, const char *name, uint32_t access);

/* --------------------------------------------------------------------- log */

/** A line of the log. */
typedef struct weir_log_line {
    uint64_t time_us;
    uint64_t sequence;         /**< counts every line; a gap is lines that were dropped because
                                    nobody drained */
    uint32_t level;            /**< 1 error, 2 warning, 3 info, 4 debug, 5 trace */
    uint32_t reserved;         /**< 0 */
    char text[224];            /**< control bytes are escaped */
} weir_log_line;

/** Say which lines the log keeps from now on.
 *  @param level  0 nothing, 1 errors, 2 warnings, 3 info, 4 debug, 5 trace
 *  @return 0, WEIR_E_ARGUMENT, WEIR_E_CLOSED, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_node_log_level(weir_node *node, uint32_t level);

/** Take the oldest lines out of the log. weir prints nothing by itself. The nodes of a world share
 *  one log and its level.
 *  @return lines written, 0 to cap
 *  @since  0.1 */
WEIR_API int32_t weir_node_log(weir_node *node, weir_log_line *lines, uint32_t cap);

/* -------------------------------------------------------------------- hash */

#define WEIR_HASH_BYTES 32

/** A running BLAKE2b-256. Yours; nothing to free. */
typedef struct weir_hash {
    uint64_t opaque[64];
} weir_hash;

/** Begin a hash.
 *  @return 0, WEIR_E_NULL
 *  @thread any
 *  @since  0.1 */
WEIR_API int32_t weir_hash_init(weir_hash *hash);

/** Add bytes.
 *  @return 0, WEIR_E_NULL; WEIR_E_STATE it was not begun
 *  @thread any
 *  @since  0.1 */
WEIR_API int32_t weir_hash_update(weir_hash *hash, const void *data, uint64_t len);

/** The hash of everything added. The state is used up: begin anew for another.
 *  @param digest  room for WEIR_HASH_BYTES
 *  @return 0, WEIR_E_NULL; WEIR_E_STATE it was not begun
 *  @thread any
 *  @since  0.1 */
WEIR_API int32_t weir_hash_final(weir_hash *hash, void *digest);

/* ------------------------------------------------------------------- world */

/** A simulated world: a virtual clock, nodes, links. The same engine, the same calls on its nodes;
 *  one seed, one trace. Nodes of a world are weir_node pointers that the world owns. */
typedef struct weir_world weir_world;

#define WEIR_FIDELITY_PACKET 0u  /**< the UDP transport, every packet simulated */
#define WEIR_FIDELITY_MESSAGE 1u /**< the in-memory transport: for very many nodes */

/** How a world is made. */
typedef struct weir_world_options {
    uint32_t size;             /**< sizeof(weir_world_options) as you compiled it */
    uint32_t fidelity;         /**< WEIR_FIDELITY_* */
    uint64_t seed;             /**< everything random in the world comes from it */
    uint64_t start_us;         /**< the clock's first value; 0: 1 s */
} weir_world_options;

/** How datagrams travel from one node to another. Defaults: 10 ms, no loss, no bandwidth limit. */
typedef struct weir_link_options {
    uint32_t size;             /**< sizeof(weir_link_options) as you compiled it */
    uint32_t loss_ppm;         /**< lost at random, per million */
    uint64_t delay_us_plus1;   /**< one way; 0 = default (10 ms) */
    uint64_t jitter_us;        /**< added, uniform in 0 to this; does not reorder by itself */
    uint64_t bandwidth_bps;    /**< bits per second; 0: no limit */
    uint64_t queue_bytes;      /**< at the bottleneck; 0: 1 bandwidth-delay product, at least 64
                                    KiB */
    uint32_t loss_burst_max;   /**< at most this many in a row are lost at random; 0: no cap */
    uint32_t burst_ppm;        /**< chance per datagram that a burst of losses begins */
    uint32_t burst_length;     /**< datagrams in a burst */
    uint32_t duplicate_ppm;    /**< delivered twice */
    uint32_t reorder_ppm;      /**< held back by reorder_us */
    uint32_t corrupt_ppm;      /**< 1 to corrupt_bytes_max bytes changed */
    uint64_t reorder_us;       /**< how long a reordered datagram is held back */
    uint32_t corrupt_bytes_max;/**< 0: 1 */
    uint32_t one_way;          /**< 1: only from a to b; 0: both directions */
    uint64_t drop_pattern;     /**< bit i set: the i-th datagram (from 0, of the first 64) is
                                    dropped */
    uint64_t blackhole_start_us; /**< between start and end (world time) nothing passes */
    uint64_t blackhole_end_us;
    uint64_t rebind_every_us;  /**< the sender's address and port, as the receiver sees them,
                                    change this often; 0: never */
} weir_link_options;

/** Make an empty world.
 *  @return 0 and *world; WEIR_E_NULL, WEIR_E_SIZE, WEIR_E_UNKNOWN_OPTION, WEIR_E_ARGUMENT,
 *          WEIR_E_MEMORY
 *  @since  0.1 */
WEIR_API int32_t weir_world_create(const weir_world_options *options, weir_world **world,
                                   weir_error *error);

/** Free a world with all its nodes; their pointers end too.
 *  @return 0, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_world_free(weir_world *world);

/** Add a node. Its events carry the number that it gets, counted from 1 in order of adding. Its
 *  address is weir_node_address(node, 0): it listens from the start.
 *  @param options  as for weir_node_create; NULL: defaults. Without a key, the key comes from the
 *                  world's seed; log_level_plus1 and offload_off have no meaning here
 *  @return as weir_node_create; WEIR_E_LIMIT the world has as many nodes as it can
 *  @since  0.1 */
WEIR_API int32_t weir_world_add_node(weir_world *world, const weir_node_options *options,
                                     weir_node **node,
                                     weir_error *error);

/** Set how datagrams travel between two nodes; 0 for a or b: all nodes. The newest rule that fits
 *  is used.
 *  @return 0, WEIR_E_ARGUMENT no such node or a setting out of its range, WEIR_E_SIZE,
 *          WEIR_E_UNKNOWN_OPTION
 *  @since  0.1 */
WEIR_API int32_t weir_world_link(weir_world *world, uint64_t a, uint64_t b,
                                 const weir_link_options *options);

/** Put a file into a node's memory, for weir_file_open; it takes the place of one with that name.
 *  What the node writes to is made by itself, and read back with weir_file_open.
 *  @param node  which, counted from 1
 *  @param data  copied; len at most 1 GiB
 *  @return 0; WEIR_E_ARGUMENT no such node, no name, too long; WEIR_E_LIMIT it has 1024 files;
 *          WEIR_E_MEMORY, WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_world_file(weir_world *world, uint64_t node, const char *path,
                                 const void *data, uint64_t len);

/** Let go what the application wrote, advance the clock until some node has an event or until_us
 *  is reached.
 *  @param until_us  world time; the past only lets go
 *  @return 1 there are events for weir_world_poll; 0 until_us was reached; WEIR_E_NULL
 *  @since  0.1 */
WEIR_API int32_t weir_world_run(weir_world *world, uint64_t until_us);

/** Take events of all nodes, in the order of time, node, sequence.
 *  @param shard  0 (worlds with several shards come later)
 *  @return events written, 0 to cap; WEIR_E_NULL, WEIR_E_ARGUMENT
 *  @since  0.1 */
WEIR_API int64_t weir_world_poll(weir_world *world, uint32_t shard, weir_event *events,
                                 uint32_t cap);

/** The world's clock.
 *  @return microseconds; 0 for NULL
 *  @since  0.1 */
WEIR_API uint64_t weir_world_now(weir_world *world);

/** The running hash of the trace: every datagram delivered or dropped and every event, with its
 *  time. Equal seeds and equal calls give equal hashes on every machine.
 *  @return the hash; 0 for NULL
 *  @since  0.1 */
WEIR_API uint64_t weir_world_hash(weir_world *world);

#ifdef __cplusplus
}
#endif
#endif
