/* SPDX-License-Identifier: MIT */
/* TLS 1.3 over TCP as two peers would use it: both sides show an ed25519 certificate and check that
 * the other's is self-signed. Blocking sockets; for handshakes several threads on each side's one
 * core, so that the core and not the round trip is the limit. */
#include "bench.h"
#include "limit.h"
#ifndef WEIR_BENCH_OPENSSL
bool limit_tls_is_built(void)
{
    return false;
}
const char *limit_tls_version(void)
{
    return "without OpenSSL";
}
double limit_tls_bulk(double seconds)
{
    return seconds * 0;
}
double limit_tls_handshakes(double seconds)
{
    return seconds * 0;
}
#else
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS = 16, CHUNK = 1 << 16 };

struct tls {
    SSL_CTX *context;
    int listener;
    struct sockaddr_in address;
    bool is_bulk;
    double seconds;
    atomic_uint connections;
};

bool limit_tls_is_built(void)
{
    return true;
}

const char *limit_tls_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION);
}

static int accept_self_signed(int ok, X509_STORE_CTX *store)
{
    int error = X509_STORE_CTX_get_error(store);
    if (ok == 0 && error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT)
        return X509_verify(X509_STORE_CTX_get_current_cert(store),
                           X509_get0_pubkey(X509_STORE_CTX_get_current_cert(store)));
    return ok;
}

static SSL_CTX *make_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"bench", -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    if (X509_sign(certificate, key, NULL) == 0 ||
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1 ||
        SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1 ||
        SSL_CTX_set1_groups_list(context, "X25519") != 1)
        bench_die("OpenSSL takes no certificate");
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       accept_self_signed);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

/* The server's side of one connection: answer with a byte, or with all that fits. */
static void serve(struct tls *t, int fd)
{
    static _Thread_local char chunk[CHUNK];
    int on = 1;
    SSL *ssl = SSL_new(t->context);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        if (t->is_bulk) {
            while (SSL_write(ssl, chunk, sizeof chunk) > 0) continue;
        } else {
            (void)SSL_write(ssl, chunk, 1);
            (void)SSL_read(ssl, chunk, 1);
        }
    }
    SSL_free(ssl);
    close(fd);
}

static void *serve_all(void *context)
{
    struct tls *t = context;
    bench_pin(1);
    for (;;) {
        int fd = accept(t->listener, NULL, NULL);
        if (fd >= 0) serve(t, fd);
    }
    return NULL;
}

static void server(int fd, void *context)
{
    pthread_t thread[THREADS];
    char end;
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&thread[i], NULL, serve_all, context) != 0) bench_die("no thread");
    }
    (void)recv(fd, &end, 1, 0);
}

static SSL *dial(struct tls *t, int *fd)
{
    int on = 1;
    SSL *ssl = SSL_new(t->context);
    *fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(*fd, (struct sockaddr *)&t->address, sizeof t->address) != 0) bench_die("connect");
    (void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    SSL_set_fd(ssl, *fd);
    if (SSL_connect(ssl) != 1) bench_die("SSL_connect");
    return ssl;
}

static void *dial_all(void *context)
{
    struct tls *t = context;
    double end = bench_now() + t->seconds;
    bench_pin(0);
    while (bench_now() < end) {
        int fd;
        char byte;
        SSL *ssl = dial(t, &fd);
        if (SSL_read(ssl, &byte, 1) == 1) atomic_fetch_add(&t->connections, 1);
        (void)SSL_shutdown(ssl);
        SSL_free(ssl);
        close(fd);
    }
    return NULL;
}

static struct bench_child start(struct tls *t)
{
    socklen_t len = sizeof t->address;
    t->context = make_context();
    t->listener = socket(AF_INET, SOCK_STREAM, 0);
    t->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(t->listener, (struct sockaddr *)&t->address, len) != 0 ||
        listen(t->listener, 128) != 0 ||
        getsockname(t->listener, (struct sockaddr *)&t->address, &len) != 0)
        bench_die("listen");
    return bench_fork(server, t);
}

static void stop(struct tls *t, struct bench_child *child)
{
    bench_reap(child);
    close(t->listener);
    SSL_CTX_free(t->context);
}

double limit_tls_bulk(double seconds)
{
    static char chunk[CHUNK];
    struct tls t = {.is_bulk = true, .seconds = seconds};
    struct bench_child child = start(&t);
    double bytes = 0, from, now;
    int fd, n;
    bench_pin(0);
    SSL *ssl = dial(&t, &fd);
    from = now = bench_now();
    while (now < from + seconds && (n = SSL_read(ssl, chunk, sizeof chunk)) > 0) {
        bytes += n;
        now = bench_now();
    }
    SSL_free(ssl);
    close(fd);
    stop(&t, &child);
    return bytes * 8 / (now - from);
}

double limit_tls_handshakes(double seconds)
{
    pthread_t thread[THREADS];
    struct tls t = {.seconds = seconds};
    struct bench_child child = start(&t);
    double from = bench_now();
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&thread[i], NULL, dial_all, &t) != 0) bench_die("no thread");
    }
    for (int i = 0; i < THREADS; i++) (void)pthread_join(thread[i], NULL);
    double took = bench_now() - from;
    stop(&t, &child);
    return atomic_load(&t.connections) / took;
}
#endif
