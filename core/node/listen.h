/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_LISTEN_H
#define WEIR_NODE_LISTEN_H
#include "node/state.h"

int64_t listen_on_call(struct node *node, const struct node_call *call);
void listen_free(struct node *node);
#endif
