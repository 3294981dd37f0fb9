/* SPDX-License-Identifier: MIT */
#include "node/node.h"
#include "address/address.h"
#include "api/enter.h"
#include "api/node_options.h"
#include "crypto/aead.h"
#include "host/fail.h"
#include "host/host.h"
#include "quic/quic.h"
#include <string.h>

/* The transports of the real world. */
static const struct transport_ops *const transports[] = {&quic_transport};

static int open_node(struct node_options *options, struct node **out, weir_error *facts)
{
    struct node_config *config = &options->config;
    struct host_options host_options = {.offload_off = options->offload_off,
                                        .spin_us = options->spin_us};
    struct host *host;
    config->mem = mem_system();
    config->entropy = (struct entropy){entropy_system_fill, NULL};
    config->transports = transports;
    config->transport_count = sizeof transports / sizeof transports[0];
    if (!options->is_cipher_given && aead_prefers_aes()) config->suites |= 1u << AEAD_AES_256_GCM;
    if (config->key == NULL) {
        key_pair_generate(&options->key, &config->entropy);
        config->key = &options->key;
    }
    int error = host_open(&host_options, &host, facts);
    if (error != 0) return error;
    config->driver = &host_driver;
    config->driver_context = host;
    error = node_open(config, out);
    if (error != 0) {
        host_driver.close(host);
        host_driver.release(host);
        return error;
    }
    host_attach(host, *out);
    return 0;
}

WEIR_API int32_t weir_node_create(const weir_node_options *options, weir_node **node,
                                  weir_error *error)
{
    struct node_options taken;
    struct node *made = NULL;
    weir_error facts;
    int result = facts_begin(&facts, error);
    if (result != 0) return result;
    if (node == NULL) return facts_end(&facts, error, WEIR_E_NULL);
    *node = NULL;
    result = secret_init();
    if (result == 0) result = node_options_take(&taken, options, &facts);
    if (result == 0) {
        result = open_node(&taken, &made, &facts);
        node_options_wipe(&taken);
    }
    if (result == 0) *node = (weir_node *)made;
    return facts_end(&facts, error, result);
}

/* The order matters: the closes leave while there are sockets, and the node gives its sockets back
 * while there is a driver. */
static void close_node(struct node *node)
{
    const struct node_driver *driver = node_driver_of(node);
    void *context = node_driver_context(node);
    node_close_connections(node, WEIR_REASON_GOING_AWAY, driver->now_us(context));
    driver->flush(context);
    node_close(node);
    driver->close(context);
}

WEIR_API int32_t weir_node_close(weir_node *node)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error == 0) close_node(n);
    return error == WEIR_E_CLOSED ? 0 : error;
}

WEIR_API int32_t weir_node_free(weir_node *node)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error == WEIR_E_NULL) return error;
    if (node_number(n) != 0) return WEIR_E_STATE;
    if (error == 0) close_node(n);
    node_driver_of(n)->release(node_driver_context(n));
    node_free(n);
    return 0;
}

WEIR_API int32_t weir_node_listen(weir_node *node, const char *address)
{
    return enter_text(node, NODE_CALL_LISTEN, address, 0);
}

WEIR_API int32_t weir_node_address(weir_node *node, uint32_t i, char *text, uint32_t cap)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (text == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    int result = node_address(n, i, text, cap);
    return result < 0 ? enter_fail(n, result, NULL) : result;
}

WEIR_API int32_t weir_node_invitation(weir_node *node, uint32_t i, char *text, uint32_t cap)
{
    struct node *n;
    struct multiaddr address;
    char whole[WEIR_ADDRESS_TEXT_MAX];
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (text == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    int result = node_address(n, i, whole, sizeof whole);
    if (result >= 0) result = multiaddr_parse(&address, whole, (size_t)result, NULL);
    if (result >= 0) result = address_format_invitation(node_peer(n), &address, text, cap);
    return result < 0 ? enter_fail(n, result, NULL) : result;
}

WEIR_API int32_t weir_node_serve(weir_node *node, const char *name,
                                 const weir_serve_options *options)
{
    struct node *n;
    weir_serve_options whole;
    struct node_call call = {.kind = NODE_CALL_SERVE, .data = name, .options = &whole};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (name == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    error = options_read(&whole, sizeof whole, options);
    if (error != 0) return enter_fail(n, error, NULL);
    if (whole.urgency_plus1 > 8) {
        return enter_fail(n, WEIR_E_ARGUMENT, "urgency_plus1 is 0 (the default) or 1 to 8");
    }
    call.len = strlen(name);
    return (int32_t)enter_call(n, &call);
}

WEIR_API int32_t weir_node_unserve(weir_node *node, const char *name)
{
    return enter_text(node, NODE_CALL_UNSERVE, name, 0);
}

WEIR_API int32_t weir_node_drain(weir_node *node, uint32_t reason, uint64_t timeout_us)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (reason >= WEIR_REASON_TRANSPORT) {
        return enter_fail(
            n, WEIR_E_ARGUMENT,
            "the reason is the application's (below 0x10000000) or one of weir's own");
    }
    return enter_simple(node, NODE_CALL_DRAIN, 0, reason, timeout_us);
}

WEIR_API int64_t weir_node_poll(weir_node *node, struct weir_event *events, uint32_t cap,
                                int64_t timeout_us)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (events == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    if (cap == 0) return enter_fail(n, WEIR_E_ARGUMENT, "there must be room for an event at least");
    int64_t result = node_driver_of(n)->poll(node_driver_context(n), events, cap, timeout_us);
    if (result == WEIR_E_STATE) {
        return enter_fail(n, WEIR_E_STATE, "the node belongs to a world: use weir_world_poll");
    }
    return result < 0 ? enter_fail(n, (int)result, NULL) : result;
}

WEIR_API int32_t weir_node_fd(weir_node *node)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    int fd = node_driver_of(n)->fd(node_driver_context(n));
    return fd < 0 ? enter_fail(n, fd, "a node of a world has no descriptor") : fd;
}

WEIR_API uint64_t weir_node_deadline(weir_node *node)
{
    struct node *n;
    if (enter_node(node, &n) != 0) return WEIR_NONE;
    if (node_has_events(n)) return node_driver_of(n)->now_us(node_driver_context(n));
    return node_deadline(n);
}

WEIR_API int32_t weir_node_wake(weir_node *node)
{
    /* Any thread may be here while another closes the node, so nothing of the node that changes is
     * looked at: the driver's part knows by itself whether it was closed. */
    const struct node *n = (const struct node *)node;
    return n == NULL ? WEIR_E_NULL : node_driver_of(n)->wake(node_driver_context(n));
}

WEIR_API int32_t weir_node_network_changed(weir_node *node)
{
    struct node *n;
    struct node_call call = {.kind = NODE_CALL_NETWORK_CHANGED};
    int error = enter_node(node, &n);
    if (error != 0) return error;
    const struct node_driver *driver = node_driver_of(n);
    if (driver->network_changed != NULL) driver->network_changed(node_driver_context(n));
    error = (int)enter_call(n, &call);
    driver->flush(node_driver_context(n));
    return error;
}

WEIR_API uint64_t weir_node_now(weir_node *node)
{
    struct node *n;
    if (enter_node(node, &n) != 0) return 0;
    return node_driver_of(n)->now_us(node_driver_context(n));
}

WEIR_API uint64_t weir_node_number(weir_node *node)
{
    struct node *n;
    return enter_node(node, &n) == 0 ? node_number(n) : 0;
}

WEIR_API int32_t weir_node_peer(weir_node *node, weir_peer_id *peer)
{
    struct node *n;
    int error = enter_node(node, &n);
    if (error != 0) return error;
    if (peer == NULL) return enter_fail(n, WEIR_E_NULL, NULL);
    enter_peer_out(node_peer(n), peer);
    return 0;
}
