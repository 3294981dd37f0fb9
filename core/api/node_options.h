/* SPDX-License-Identifier: MIT */
#ifndef WEIR_API_NODE_OPTIONS_H
#define WEIR_API_NODE_OPTIONS_H
#include "node/node.h"

/** What weir_node_options say, in the engine's form: for a node of the real world and for one of
 *  a simulated one alike. */
struct node_options {
    struct node_config config; /**< without memory, entropy, transports and driver */
    struct key_pair key;       /**< config.key points here when the caller gave one */
    bool offload_off;
    bool is_cipher_given;      /**< config.suites is what the caller asked for */
    uint32_t spin_us;
};
/** Check every field and derive the limits.
 *  @param given  the caller's struct, which it may have compiled with another version; NULL: all
 *                defaults. Its texts must outlive *out
 *  @param facts  which field is wrong, its value and what is allowed
 *  @return       0; WEIR_E_SIZE, WEIR_E_UNKNOWN_OPTION, WEIR_E_ARGUMENT, WEIR_E_NAME, WEIR_E_KEY,
 *                WEIR_E_UNSUPPORTED */
int node_options_take(struct node_options *out, const weir_node_options *given, weir_error *facts);
/** The key is a secret: wipe it once the node has its copy. */
void node_options_wipe(struct node_options *options);
#endif
