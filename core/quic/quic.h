/* SPDX-License-Identifier: MIT */
#ifndef WEIR_QUIC_QUIC_H
#define WEIR_QUIC_QUIC_H
#include "transport/transport.h"
/** The UDP transport (docs/wire.md): QUIC's mechanics under our own version,
 *  with Noise. */
extern const struct transport_ops quic_transport;
#endif
