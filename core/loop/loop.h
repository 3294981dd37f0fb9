/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LOOP_LOOP_H
#define WEIR_LOOP_LOOP_H
#include "transport/transport.h"
/** The in-memory transport: the streams of every transport over datagrams
 *  that arrive, in order, at memory endpoints. No keys and no loss recovery: a peer is believed to
 *  be who it says. It carries the simulator's message fidelity. */
extern const struct transport_ops loop_transport;
#endif
