/* SPDX-License-Identifier: MIT */
/* Versions, and the words for numbers. */
#include "transport/reason.h"
#include "weir.h"
#include <stddef.h>

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

struct error_row {
    int32_t code;
    const char *name, *sentence;
};
#define ROW(code, sentence)                                                                        \
    {                                                                                              \
        code, #code, sentence                                                                      \
    }

static const struct error_row rows[] = {
    ROW(WEIR_OK, "no error"),
    ROW(WEIR_E_ARGUMENT, "an argument is out of its range"),
    ROW(WEIR_E_NULL, "a pointer that must not be NULL is NULL"),
    ROW(WEIR_E_KIND, "the handle is of another kind"),
    ROW(WEIR_E_UNKNOWN_OPTION, "an options struct sets a field that this library does not know: "
                               "leave it 0 or use a newer one"),
    ROW(WEIR_E_SIZE, "the size field of a struct is impossible: set it to the size of the struct"),
    ROW(WEIR_E_ADDRESS, "this is not an address in any form that weir knows"),
    ROW(WEIR_E_PEER_ID, "this is not a peer id"),
    ROW(WEIR_E_KEY, "this is not a key: its length, version or checksum is wrong"),
    ROW(WEIR_E_NAME, "this is not a valid protocol or network name"),
    ROW(WEIR_E_SPACE, "the buffer is too small"),
    ROW(WEIR_E_STALE, "the handle's object is gone"),
    ROW(WEIR_E_CLOSED, "the node was closed"),
    ROW(WEIR_E_FINISHED, "this side finished the lane"),
    ROW(WEIR_E_RESET, "the peer reset the lane"),
    ROW(WEIR_E_STOPPED, "the reader of this lane wants no more"),
    ROW(WEIR_E_END, "the peer finished its lane and everything was read"),
    ROW(WEIR_E_NOT_CONNECTED, "the connection is not up, or no longer"),
    ROW(WEIR_E_EXISTS, "it is there already"),
    ROW(WEIR_E_NOT_FOUND, "there is no such thing"),
    ROW(WEIR_E_DRAINING, "the node is draining and takes no new work"),
    ROW(WEIR_E_ONE_WAY, "the stream has no lane in this direction"),
    ROW(WEIR_E_STATE, "the call does not fit the object's state"),
    ROW(WEIR_E_MEMORY, "there is no memory"),
    ROW(WEIR_E_BUDGET, "a memory budget is used up"),
    ROW(WEIR_E_LIMIT, "a count limit is reached"),
    ROW(WEIR_E_REFUSED, "the peer refused"),
    ROW(WEIR_E_PROTOCOL, "the peer broke the wire protocol"),
    ROW(WEIR_E_UNSUPPORTED, "the peer does not serve that protocol, or speaks another version"),
    ROW(WEIR_E_PEER_CLOSED, "the peer closed the connection"),
    ROW(WEIR_E_TIMEOUT, "nothing was heard in time"),
    ROW(WEIR_E_UNREACHABLE, "the network says that there is no way"),
    ROW(WEIR_E_ADDRESS_IN_USE, "the port is in use"),
    ROW(WEIR_E_HOST_UNKNOWN, "the name has no address"),
    ROW(WEIR_E_SOCKET, "the system refused a socket call"),
    ROW(WEIR_E_PERMISSION, "the system does not permit it"),
    ROW(WEIR_E_IO, "reading or writing a file failed"),
    ROW(WEIR_E_IDENTITY, "the peer is not who the address says"),
    ROW(WEIR_E_HANDSHAKE, "authentication failed"),
    ROW(WEIR_E_DECRYPT, "the bytes do not authenticate"),
    ROW(WEIR_E_KEY_FILE, "others can read or write the key file"),
    ROW(WEIR_E_INTERNAL, "weir has a bug here: please report it"),
};

static const struct error_row *find(int32_t code)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].code == code) return &rows[i];
    }
    return NULL;
}

WEIR_API const char *weir_version(void)
{
    /* The versions that the library was built with; WEIR_UV and WEIR_SODIUM come from the build. */
    return TEXT(WEIR_VERSION_MAJOR) "." TEXT(WEIR_VERSION_MINOR) "." TEXT(
        WEIR_VERSION_PATCH) " (libuv " WEIR_UV ", libsodium " WEIR_SODIUM ")";
}

WEIR_API uint32_t weir_version_number(void)
{
    return WEIR_VERSION_MAJOR * 1000000u + WEIR_VERSION_MINOR * 1000u + WEIR_VERSION_PATCH;
}

WEIR_API const char *weir_strerror(int32_t code)
{
    const struct error_row *row = find(code);
    return row == NULL ? "unknown error" : row->sentence;
}

WEIR_API const char *weir_error_name(int32_t code)
{
    const struct error_row *row = find(code);
    return row == NULL ? "WEIR_E_?" : row->name;
}

WEIR_API const char *weir_reason_name(uint32_t reason)
{
    return reason_name(reason);
}
