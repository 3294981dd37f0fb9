/* SPDX-License-Identifier: MIT */
/* ENet as a peer of the benchmark; arguments and figures are those of peer.h. It encrypts nothing,
 * so it has no handshakes to compare with. Reliable packets on one channel. */
#include "peer.h"
#include <enet/enet.h>

enum { MESSAGE_BYTES = 65536, QUEUE_MAX = 64, WAIT_MS = 1 };

static const char zeros[MESSAGE_BYTES];

static ENetHost *open_host(const ENetAddress *own, size_t peers)
{
    ENetHost *host = enet_host_create(own, peers, 1, 0, 0);
    if (host == NULL) peer_die("no host");
    enet_socket_set_option(host->socket, ENET_SOCKOPT_RCVBUF, 7 << 20);
    enet_socket_set_option(host->socket, ENET_SOCKOPT_SNDBUF, 7 << 20);
    return host;
}

static unsigned held; /* packets that ENet has and has not freed */

static void on_free(ENetPacket *packet)
{
    (void)packet;
    held--;
}

static void send_reliable(ENetPeer *to, size_t length)
{
    ENetPacket *packet = enet_packet_create(zeros, length, ENET_PACKET_FLAG_RELIABLE);
    if (packet == NULL || enet_peer_send(to, 0, packet) != 0) peer_die("send");
    packet->freeCallback = on_free;
    held++;
}

static void serve(const char *figure, unsigned count)
{
    ENetAddress own = {.host = ENET_HOST_TO_NET_32(0x7f000001), .port = 0};
    ENetEvent event;
    ENetHost *host = open_host(&own, 2);
    bool bulk = strcmp(figure, "bulk") == 0;
    enet_socket_get_address(host->socket, &own);
    peer_ready(own.port);
    while (enet_host_service(host, &event, WAIT_MS) >= 0) {
        if (event.type != ENET_EVENT_TYPE_RECEIVE) continue;
        if (bulk)
            peer_count(event.packet->dataLength, (uint64_t)count << 20);
        else
            send_reliable(event.peer, event.packet->dataLength);
        enet_packet_destroy(event.packet);
    }
    peer_die("service");
}

static void next(ENetHost *host, ENetEvent *event)
{
    if (enet_host_service(host, event, WAIT_MS) < 0) peer_die("service");
    if (event->type == ENET_EVENT_TYPE_DISCONNECT) peer_die("the connection ended");
}

static double requests(ENetHost *host, ENetPeer *server, unsigned n)
{
    ENetEvent event;
    unsigned asked = 0, answered = 0;
    double start = peer_now();
    while (answered < n) {
        while (asked < n && asked - answered < PEER_REQUESTS_AT_ONCE) {
            send_reliable(server, PEER_REQUEST_BYTES);
            asked++;
        }
        next(host, &event);
        if (event.type != ENET_EVENT_TYPE_RECEIVE) continue;
        enet_packet_destroy(event.packet);
        answered++;
    }
    return n / (peer_now() - start);
}

static void drive(const char *figure, unsigned n, uint16_t port)
{
    ENetAddress there = {.host = ENET_HOST_TO_NET_32(0x7f000001), .port = port};
    ENetHost *host = open_host(NULL, 1);
    ENetPeer *server = enet_host_connect(host, &there, 1, 0);
    ENetEvent event = {.type = ENET_EVENT_TYPE_NONE};
    while (event.type != ENET_EVENT_TYPE_CONNECT) next(host, &event);
    if (strcmp(figure, "requests") == 0) {
        requests(host, server, n / 10);
        peer_say("requests_per_second", requests(host, server, n));
        return;
    }
    for (uint64_t left = (uint64_t)n << 20; left > 0; left -= MESSAGE_BYTES) {
        send_reliable(server, MESSAGE_BYTES);
        while (held > QUEUE_MAX) next(host, &event);
    }
    while (held > 0) next(host, &event);
    peer_wait();
}

static void version(void)
{
    printf("version ENet %d.%d.%d\n", ENET_VERSION_MAJOR, ENET_VERSION_MINOR, ENET_VERSION_PATCH);
}

int main(int argc, char **argv)
{
    static const struct peer peer = {"enet", version, NULL, serve, drive};
    if (enet_initialize() != 0) return 1;
    return peer_main(&peer, argc, argv);
}
