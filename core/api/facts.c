/* SPDX-License-Identifier: MIT */
/* What a node knows of itself: the last error, totals, counters, limits. */
#include "api/enter.h"
#include "base/log.h"
#include "limits/limits.h"
#include "observe/metrics.h"
#include <string.h>

WEIR_API int32_t weir_last_error(weir_node *node, weir_error *error)
{
    struct node *n;
    int closed = enter_node(node, &n);
    if (closed == WEIR_E_NULL) return closed;
    int result = options_out_check(error);
    if (result != 0) return result;
    /* Every call on a tombstone fails in the same way; it has nothing else to tell. */
    const weir_error *last = closed == 0 ? node_error(n) : NULL;
    weir_error facts;
    (void)facts_begin(&facts, NULL);
    if (last != NULL) facts = *last;
    (void)facts_end(&facts, error,
                    closed != 0    ? closed
                    : last != NULL ? last->code
                                   : WEIR_E_MEMORY);
    return 0;
}

static void collect(struct node *n, weir_node_statistics *out)
{
    const uint64_t *m = node_metrics(n)->value;
    out->bytes_sent = m[METRIC_BYTES_SENT];
    out->bytes_received = m[METRIC_BYTES_RECEIVED];
    out->datagrams_sent = m[METRIC_DATAGRAMS_SENT];
    out->datagrams_received = m[METRIC_DATAGRAMS_RECEIVED];
    out->packets_sent = m[METRIC_PACKETS_SENT];
    out->packets_received = m[METRIC_PACKETS_RECEIVED];
    out->packets_lost = m[METRIC_PACKETS_LOST];
    out->connections_open = m[METRIC_CONNECTIONS_OPEN];
    out->streams_open = m[METRIC_STREAMS_OPEN];
    out->peers_connected = node_peers_connected(n);
    out->handshakes_completed = m[METRIC_HANDSHAKES_DONE];
    out->handshakes_failed = m[METRIC_HANDSHAKES_FAILED];
    out->stream_bytes_written = m[METRIC_STREAM_BYTES_WRITTEN];
    out->stream_bytes_read = m[METRIC_STREAM_BYTES_READ];
    out->stalls = m[METRIC_STALLS_STREAM_CREDIT] + m[METRIC_STALLS_CONNECTION_CREDIT] +
                  m[METRIC_STALLS_BUDGET] + m[METRIC_STALLS_STREAMS_LIMIT];
    out->limits_reached = m[METRIC_LIMIT_REACHED];
    out->memory_bytes = node_memory_used(n);
    out->memory_max_bytes = node_limits(n)->value[LIMIT_NODE_MEMORY];
}

WEIR_API int32_t weir_node_get_statistics(weir_node *node, weir_node_statistics *statistics)
{
    struct node *n;
    weir_node_statistics whole = {.size = sizeof whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_out_check(statistics);
    if (error != 0) return enter_fail(n, error, NULL);
    collect(n, &whole);
    options_out_write(statistics, &whole, sizeof whole);
    return 0;
}

WEIR_API int32_t weir_node_metric(weir_node *node, uint32_t i, const char **name, uint64_t *value)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (value == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    if (i >= METRIC_COUNT) return enter_fail(n, WEIR_E_NOT_FOUND, "the table of metrics ends here");
    /* Two that nobody counts along the way: their owners know. In a world the log is the world's.
     * */
    *value = i == METRIC_MEMORY_USED   ? node_memory_used(n)
             : i == METRIC_LOG_DROPPED ? node_log(n)->dropped
                                       : node_metrics(n)->value[i];
    if (name != NULL) *name = metric_info(i)->name;
    return 0;
}

static void copy_text(char *out, size_t cap, const char *text)
{
    size_t len = strlen(text);
    if (len > cap - 1) len = cap - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

WEIR_API int32_t weir_node_limit_get_info(weir_node *node, uint32_t i, weir_limit_info *info)
{
    struct node *n;
    weir_limit_info whole = {.size = sizeof whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    error = options_out_check(info);
    if (error != 0) return enter_fail(n, error, NULL);
    if (i >= LIMIT_COUNT - 1)
        return enter_fail(n, WEIR_E_NOT_FOUND, "the table of limits ends here");
    const struct limit_info *row = limit_info(i + 1);
    whole.scope = row->scope;
    whole.value = node_limits(n)->value[i + 1];
    whole.used = node_limit_used(n, i + 1);
    whole.default_value = row->value;
    copy_text(whole.name, sizeof whole.name, row->name);
    copy_text(whole.unit, sizeof whole.unit, row->unit);
    copy_text(whole.why, sizeof whole.why, row->why);
    options_out_write(info, &whole, sizeof whole);
    return 0;
}

WEIR_API int32_t weir_node_limit(weir_node *node, uint32_t i, const char **name, uint64_t *value)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (value == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    /* The table's first row is "no limit". */
    if (i >= LIMIT_COUNT - 1) {
        return enter_fail(n, WEIR_E_NOT_FOUND, "the table of limits ends here");
    }
    *value = node_limits(n)->value[i + 1];
    if (name != NULL) *name = limit_info(i + 1)->name;
    return 0;
}
