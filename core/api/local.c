/* SPDX-License-Identifier: MIT */
#include "api/enter.h"
#include <string.h>

/* Arguments of a child together. */
enum { ARGUMENTS_BYTES_MAX = 16384 };

static int64_t open_path(weir_node *node, uint32_t kind, const char *path, uint64_t offset,
                         uint64_t user)
{
    struct node *n;
    struct node_call call = {.kind = NODE_CALL_LOCAL_OPEN,
                             .flags = kind,
                             .data = path,
                             .number = user,
                             .number_out = &offset};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (path == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    call.len = strlen(path);
    return enter_call(n, &call);
}

WEIR_API int64_t weir_file_open(weir_node *node, const char *path, uint32_t flags, uint64_t offset,
                                uint64_t user)
{
    struct node *n;
    uint32_t mode = flags & ~(WEIR_FILE_NEW | WEIR_FILE_KEEP);
    int error = enter_node(node, &n);
    if (error != 0) return error;
    bool is_mode = mode == WEIR_FILE_READ || mode == WEIR_FILE_WRITE || mode == WEIR_FILE_APPEND;
    if (!is_mode || (flags != mode && mode != WEIR_FILE_WRITE))
        return enter_fail(n, WEIR_E_ARGUMENT,
                          "a file is opened with one of WEIR_FILE_READ, WRITE and APPEND; "
                          "WEIR_FILE_NEW and KEEP go with WRITE");
    return open_path(node, NODE_LOCAL_FILE | flags << 8, path, offset, user);
}

WEIR_API int64_t weir_unix_open(weir_node *node, const char *path, uint64_t user)
{
    return open_path(node, NODE_LOCAL_UNIX, path, 0, user);
}

WEIR_API int64_t weir_child_open(weir_node *node, const char *const *arguments, uint64_t user)
{
    struct node *n;
    char joined[ARGUMENTS_BYTES_MAX];
    uint64_t offset = 0;
    struct node_call call = {.kind = NODE_CALL_LOCAL_OPEN,
                             .flags = NODE_LOCAL_CHILD,
                             .data = joined,
                             .number = user,
                             .number_out = &offset};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (arguments == NULL || arguments[0] == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    for (; *arguments != NULL; arguments++) {
        size_t len = strlen(*arguments) + 1;
        if (len > sizeof joined - call.len)
            return enter_fail(n, WEIR_E_ARGUMENT, "the arguments of a child have at most 16 KiB");
        memcpy(joined + call.len, *arguments, len);
        call.len += len;
    }
    return enter_call(n, &call);
}
