/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NODE_CALLS_H
#define WEIR_NODE_CALLS_H
#include "node/state.h"
/** Do what the application asks. @return what the call of the ABI returns */
int64_t calls_do(struct node *node, const struct node_call *call);
#endif
