/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TRANSPORT_REASON_H
#define WEIR_TRANSPORT_REASON_H
#include "weir.h"
#include <stdint.h>
/** The one table of reason codes (weir.h, WEIR_REASON_*): what both sides read when a stream or
 *  connection ends.
 *
 *  Codes below 0x10000000 are the application's; 0x10000000 and up are weir's; 0x20000000 | n is
 *  transport error n of RFC 9000 section 20.1. On the wire weir's and the application's travel in
 *  application closes (frame 0x1d), resets and stops; the transport's in frame 0x1c. */
#define REASON_TRANSPORT(code) (WEIR_REASON_TRANSPORT | (uint32_t)(code))
/** @return a stable short name such as "protocol_not_served", or "application" for codes of the
 *  application */
const char *reason_name(uint32_t reason);
/** @return a fixed sentence without a full stop */
const char *reason_sentence(uint32_t reason);
#endif
