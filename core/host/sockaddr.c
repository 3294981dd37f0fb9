/* SPDX-License-Identifier: MIT */
#include "host/sockaddr.h"
#include <netinet/in.h>
#include <string.h>

socklen_t sockaddr_of(const struct endpoint *endpoint, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (endpoint->family == ENDPOINT_IP4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};

        memcpy(&in.sin_addr, endpoint->bytes, 4);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    if (endpoint->family == ENDPOINT_IP6) {
        struct sockaddr_in6 in = {.sin6_family = AF_INET6,
                                  .sin6_port = htons(endpoint->port),
                                  .sin6_scope_id = endpoint->scope_id};

        memcpy(&in.sin6_addr, endpoint->bytes, 16);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    return 0;
}

struct endpoint sockaddr_endpoint(const struct sockaddr *address)
{
    struct endpoint none = {0};

    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        uint8_t b[4];

        memcpy(&in, address, sizeof in);
        memcpy(b, &in.sin_addr, sizeof b);
        return endpoint_ip4(b[0], b[1], b[2], b[3], ntohs(in.sin_port));
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        uint8_t b[16];

        memcpy(&in, address, sizeof in);
        memcpy(b, &in.sin6_addr, sizeof b);
        return endpoint_ip6(b, ntohs(in.sin6_port), in.sin6_scope_id);
    }
    return none;
}
