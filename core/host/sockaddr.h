/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HOST_SOCKADDR_H
#define WEIR_HOST_SOCKADDR_H
#include "address/endpoint.h"
#include <sys/socket.h>

/** The system's form of an endpoint. @return its length, or 0 for a family that has none */
socklen_t sockaddr_of(const struct endpoint *endpoint, struct sockaddr_storage *out);
/** The endpoint of a system's address; family ENDPOINT_NONE when it is neither IPv4 nor IPv6. */
struct endpoint sockaddr_endpoint(const struct sockaddr *address);
#endif
