/* SPDX-License-Identifier: MIT */
/* The last error. Most failures are plain numbers (a stale handle, a lane at its end), so the
 * struct with the facts is made only when there are facts, or when somebody asks. */
#include "node/errors.h"
#include "limits/limits.h"
#include "node/state.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void set_limit(weir_error *error, const struct limit_record *limit)
{
    error->limit_scope = limit->scope;
    error->limit_side = limit->side;
    error->limit_used = limit->used;
    error->limit_max = limit->max;
    error->since_us = limit->since_us;
    if (limit->name == LIMIT_NONE || limit->name >= LIMIT_COUNT) return;
    (void)snprintf(error->limit_name, sizeof error->limit_name, "%s",
                   limit_info(limit->name)->name);
}

static weir_error *fresh(struct node *node, int code)
{
    struct node_extras *extras = state_extras_make(node);
    if (extras == NULL) return NULL;
    if (extras->error == NULL) extras->error = mem_alloc(node->env.mem, sizeof *extras->error);
    if (extras->error == NULL) return NULL;
    memset(extras->error, 0, sizeof *extras->error);
    extras->error->size = (uint32_t)sizeof *extras->error;
    extras->error->code = code;
    return extras->error;
}

void errors_free(struct node *node)
{
    if (node->extras == NULL) return;
    mem_free(node->env.mem, node->extras->error, sizeof *node->extras->error);
    node->extras->error = NULL;
}

void errors_clean(char *text)
{
    for (; *text != 0; text++) {
        if (*text < ' ' || *text > '~') *text = '?';
    }
}

int errors_fail(struct node *node, int code, const struct limit_record *limit,
                const struct peer_id *peer, const char *format, ...)
{
    va_list arguments;
    if (limit != NULL) metric_inc(node->env.metrics, METRIC_LIMIT_REACHED);
    if (node->error_kept) return code;
    node->error_code = code;
    node->error_noted = true;
    weir_error *error = fresh(node, code);
    if (error == NULL) return code;
    if (limit != NULL) set_limit(error, limit);
    if (peer != NULL) {
        error->peer.len = peer->len;
        memcpy(error->peer.bytes, peer->bytes, sizeof error->peer.bytes);
    }
    va_start(arguments, format);
    (void)vsnprintf(error->detail, sizeof error->detail, format, arguments);
    va_end(arguments);
    errors_clean(error->detail);
    return code;
}

void errors_begin(struct node *node)
{
    node->error_noted = false;
}

void errors_note(struct node *node, int code)
{
    if (node->error_noted) return;
    node->error_code = code;
    if (state_extras(node)->error != NULL) (void)fresh(node, code);
}

weir_error *node_error(struct node *node)
{
    if (node->closed) return NULL;
    weir_error *error = state_extras(node)->error;
    return error != NULL ? error : fresh(node, node->error_code);
}

const char *errors_words(int code)
{
    switch (code) {
    case WEIR_E_MEMORY: return "no memory";
    case WEIR_E_BUDGET: return "the memory budget is used up";
    case WEIR_E_LIMIT: return "a limit is reached";
    case WEIR_E_DRAINING: return "this node is draining";
    case WEIR_E_REFUSED: return "refused";
    case WEIR_E_PROTOCOL: return "the peer broke the wire protocol";
    case WEIR_E_UNSUPPORTED: return "the peer speaks another version";
    case WEIR_E_PEER_CLOSED: return "the peer closed the connection";
    case WEIR_E_TIMEOUT: return "no answer";
    case WEIR_E_UNREACHABLE: return "the network has no way there";
    case WEIR_E_HOST_UNKNOWN: return "the name has no address";
    case WEIR_E_SOCKET: return "the system refused a socket";
    case WEIR_E_PERMISSION: return "the system does not permit it";
    case WEIR_E_IDENTITY: return "the peer is not who the address says";
    case WEIR_E_HANDSHAKE: return "authentication failed";
    case WEIR_E_ADDRESS: return "cannot be dialled";
    default: return "failed";
    }
}
