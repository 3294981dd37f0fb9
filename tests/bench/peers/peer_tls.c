/* SPDX-License-Identifier: MIT */
/* TLS 1.3 over TCP through OpenSSL as a peer of the benchmark; arguments and figures are those of
 * peer.h. There are no streams, so no requests. Blocking sockets, one thread per connection that is
 * being made: all of one end share a core. */
#include "peer.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/socket.h>

enum { CHUNK_BYTES = 65536 };

static SSL_CTX *server_context, *client_context;
static struct sockaddr_in server_address;
static const char *figure;
static unsigned count, taken;
static int listener;

static void must(long one, const char *what)
{
    if (one == 1) return;
    ERR_print_errors_fp(stderr);
    peer_die("%s", what);
}

static X509 *certify(EVP_PKEY *key)
{
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    X509_EXTENSION *alternative =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                               0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    must(X509_add_ext(x, alternative, -1), "extension");
    X509_EXTENSION_free(alternative);
    must(X509_sign(x, key, EVP_sha256()) > 0, "sign");
    return x;
}

static SSL_CTX *context(const SSL_METHOD *method)
{
    SSL_CTX *c = SSL_CTX_new(method);
    must(SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION), "version");
    must(SSL_CTX_set_ciphersuites(c, "TLS_AES_256_GCM_SHA384"), "suite");
    must(SSL_CTX_set1_groups_list(c, "X25519"), "group");
    return c;
}

static void prepare(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = certify(key);
    server_context = context(TLS_server_method());
    client_context = context(TLS_client_method());
    SSL_CTX_set_num_tickets(server_context, 0);
    must(SSL_CTX_use_certificate(server_context, certificate), "certificate");
    must(SSL_CTX_use_PrivateKey(server_context, key), "key");
    SSL_CTX_set_verify(client_context, SSL_VERIFY_PEER, NULL);
    must(X509_STORE_add_cert(SSL_CTX_get_cert_store(client_context), certificate), "trust");
}

static void no_delay(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void drain(SSL *s)
{
    static char chunk[CHUNK_BYTES];
    uint64_t total = (uint64_t)count << 20;
    int n;
    while ((n = SSL_read(s, chunk, sizeof chunk)) > 0) peer_count((size_t)n, total);
}

/* Accepts for ever. Connections under idle are kept, the others end with their client. */
static void *serve_some(void *unused)
{
    for (;;) {
        char byte;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) peer_die("accept");
        no_delay(fd);
        SSL *s = SSL_new(server_context);
        SSL_set_fd(s, fd);
        must(SSL_accept(s), "accept");
        if (strcmp(figure, "idle") == 0) {
            peer_weigh(++taken, count);
            continue;
        }
        if (strcmp(figure, "bulk") == 0)
            drain(s);
        else
            (void)SSL_read(s, &byte, 1);
        SSL_free(s);
        close(fd);
    }
    return unused;
}

static void serve(const char *what, unsigned n)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof own;
    pthread_t thread;
    figure = what;
    count = n;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) != 0 || listen(listener, 512) != 0 ||
        getsockname(listener, (struct sockaddr *)&own, &length) != 0)
        peer_die("listen");
    peer_ready(ntohs(own.sin_port));
    for (unsigned i = 1; i < PEER_DIALS_AT_ONCE && strcmp(what, "handshakes") == 0; i++)
        if (pthread_create(&thread, NULL, serve_some, NULL) != 0) peer_die("thread");
    serve_some(NULL);
}

static SSL *dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&server_address, sizeof server_address) != 0)
        peer_die("connect");
    no_delay(fd);
    SSL *s = SSL_new(client_context);
    SSL_set_fd(s, fd);
    SSL_set_tlsext_host_name(s, "localhost");
    must(SSL_set1_host(s, "localhost"), "host");
    must(SSL_connect(s), "handshake");
    return s;
}

static void *dial_some(void *unused)
{
    while (__atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED) < count) {
        SSL *s = dial();
        int fd = SSL_get_fd(s);
        SSL_shutdown(s);
        SSL_free(s);
        close(fd);
    }
    return unused;
}

static void handshakes(void)
{
    pthread_t threads[PEER_DIALS_AT_ONCE];
    double start = peer_now();
    for (unsigned i = 0; i < PEER_DIALS_AT_ONCE; i++)
        if (pthread_create(&threads[i], NULL, dial_some, NULL) != 0) peer_die("thread");
    for (unsigned i = 0; i < PEER_DIALS_AT_ONCE; i++) pthread_join(threads[i], NULL);
    peer_say("handshakes_per_second", count / (peer_now() - start));
}

static void drive(const char *what, unsigned n, uint16_t port)
{
    static const char chunk[CHUNK_BYTES];
    count = n;
    server_address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (strcmp(what, "handshakes") == 0) {
        handshakes();
        return;
    }
    if (strcmp(what, "idle") == 0)
        for (unsigned i = 0; i < n + PEER_WARM_UP; i++) dial();
    if (strcmp(what, "bulk") == 0) {
        SSL *s = dial();
        for (uint64_t left = (uint64_t)n << 20; left > 0; left -= CHUNK_BYTES)
            if (SSL_write(s, chunk, CHUNK_BYTES) != CHUNK_BYTES) peer_die("write");
    }
    peer_wait();
}

static void version(void)
{
    printf("version %s, AES-256-GCM\n", OpenSSL_version(OPENSSL_VERSION));
}

int main(int argc, char **argv)
{
    static const struct peer peer = {"tls", version, prepare, serve, drive};
    return peer_main(&peer, argc, argv);
}
