/* SPDX-License-Identifier: MIT */
/*
 * fetch: give a folder, and get files out of one. What you will see:
 *
 *     $ fetch serve FOLDER --listen 0.0.0.0:4001 --key server.key
 *     peer 12D3KooWA...
 *     serving FOLDER
 *     invitation weir:12D3KooWA...@0.0.0.0:4001
 *
 *     $ fetch get weir:12D3KooWA...@192.0.2.7:4001 holiday/film.mkv
 *     peer 12D3KooWB...
 *     server 12D3KooWA... at 192.0.2.7:4001
 *     [=========>                    ]  33 %   86 of 256 MiB   210.4 MiB/s   round trip 0.31 ms
 *
 * A file is many requests for 1 MiB each, 16 at a time, every one a stream of the same connection;
 * fetch.h is the protocol. What that shows of weir: a range that waits for its lost packet holds up
 * no other; the server reads its disk only as fast as the client's streams take bytes; a key in
 * --key is who a side is, whatever its address.
 *
 * fetch_server.c and fetch_client.c are the two sides, fetch_folder.c opens only what lies inside
 * the folder and knows the files' hashes, fetch_part.c keeps what is here already, so that an
 * interrupted get goes on where it was.
 */
#include "fetch.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "fetch serve FOLDER [--listen ADDRESS] [--key FILE]\n"
    "      give the files of FOLDER to everyone. ADDRESS: \":4001\" (default), \"127.0.0.1:0\"\n"
    "fetch get ADDRESS NAME [-o OUT] [--key FILE] [--parallel N] [--ranges N]\n"
    "      get a file. ADDRESS is the server's invitation, or weir:PEERID@host:port.\n"
    "      --parallel N  ranges under way at the same time, 1 to 64; 16 if not given\n"
    "      --ranges N    stop after N ranges of 1 MiB; the same command goes on from there\n"
    "fetch make OUT BYTES SEED\n"
    "      write BYTES pseudo-random bytes that depend on SEED alone\n"
    "fetch hash FILE\n"
    "      print BLAKE2b-256 of a file\n"
    "--key FILE is this side's secret key; it is made if there is no such file. Without --key the\n"
    "key is new in every run.\n";

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void fetch_catch_signals(void)
{
    /* SA_RESETHAND: the second signal meets the system's default, which ends the process. */
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool fetch_interrupted(void)
{
    return interrupted != 0;
}

int fetch_complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("fetch: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return 1;
}

int fetch_complain_node(weir_node *node, const char *what)
{
    weir_error error = {.size = sizeof error};
    weir_last_error(node, &error);
    return fetch_complain("%s: %s. %s", what, weir_strerror(error.code), error.detail);
}

void fetch_peer_text(const weir_peer_id *peer, char text[WEIR_PEER_TEXT_MAX])
{
    if (weir_peer_format(peer, text, WEIR_PEER_TEXT_MAX) < 0) strcpy(text, "nobody");
}

void fetch_hex(const uint8_t digest[WEIR_HASH_BYTES], char text[2 * WEIR_HASH_BYTES + 1])
{
    for (int i = 0; i < WEIR_HASH_BYTES; i++) snprintf(text + 2 * i, 3, "%02x", digest[i]);
}

bool fetch_hash_fd(int fd, uint8_t digest[WEIR_HASH_BYTES])
{
    static uint8_t piece[1 << 18];
    weir_hash hash;
    off_t offset = 0;
    ssize_t got;
    weir_hash_init(&hash);
    while ((got = pread(fd, piece, sizeof piece, offset)) > 0) {
        weir_hash_update(&hash, piece, (uint64_t)got);
        offset += got;
    }
    weir_hash_final(&hash, digest);
    return got == 0;
}

/* Load the key, or make and save one. Returns 0 or 1, after a complaint. */
static int key_of(const char *path, uint8_t key[WEIR_KEY_BYTES])
{
    weir_error error = {.size = sizeof error};
    int32_t result = weir_key_load(path, key, &error);
    if (result == WEIR_E_NOT_FOUND) {
        result = weir_key_generate(key, &error);
        if (result == 0) result = weir_key_save(path, key, &error);
    }
    return result < 0 ? fetch_complain("%s: %s", path, error.detail) : 0;
}

weir_node *fetch_node_create(weir_node_options *node_options, const struct fetch_options *options)
{
    uint8_t key[WEIR_KEY_BYTES];
    char text[WEIR_PEER_TEXT_MAX];
    weir_error error = {.size = sizeof error};
    weir_peer_id peer;
    weir_node *node;
    if (options->key_path != NULL) {
        if (key_of(options->key_path, key) != 0) return NULL;
        node_options->key = key;
    }
    int32_t result = weir_node_create(node_options, &node, &error);
    node_options->key = NULL;
    explicit_bzero(key, sizeof key);
    if (result < 0) {
        fetch_complain("%s. %s", weir_strerror(result), error.detail);
        return NULL;
    }
    weir_node_peer(node, &peer);
    fetch_peer_text(&peer, text);
    printf("peer %s\n", text);
    return node;
}

/* splitmix64: every seed gives its own bytes, the same on every machine. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int make_file(const char *path, uint64_t bytes, uint64_t seed)
{
    static uint8_t piece[1 << 16];
    FILE *out = fopen(path, "wb");
    if (out == NULL) return fetch_complain("%s: %s", path, strerror(errno));
    while (bytes > 0) {
        for (size_t i = 0; i < sizeof piece; i += 8) {
            uint64_t word = next_random(&seed);
            for (size_t k = 0; k < 8; k++, word >>= 8) piece[i + k] = (uint8_t)word;
        }
        size_t len = bytes < sizeof piece ? (size_t)bytes : sizeof piece;
        if (fwrite(piece, 1, len, out) != len) break;
        bytes -= len;
    }
    if (fclose(out) != 0 || bytes > 0) return fetch_complain("%s: %s", path, strerror(errno));
    return 0;
}

static int print_hash(const char *path)
{
    uint8_t digest[WEIR_HASH_BYTES];
    char hex[2 * WEIR_HASH_BYTES + 1];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_read = fd >= 0 && fetch_hash_fd(fd, digest);
    int reason = errno;
    if (fd >= 0) close(fd);
    if (!is_read) return fetch_complain("%s: %s", path, strerror(reason));
    fetch_hex(digest, hex);
    printf("%s  %s\n", hex, path);
    return 0;
}

/* A whole number from min on. Ends the process when it is none. */
static uint64_t number_of(const char *text, const char *what, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != 0 || errno != 0 || value < min || value > max) {
        fetch_complain("%s is a whole number from %llu to %llu, not \"%s\"", what,
                       (unsigned long long)min, (unsigned long long)max, text);
        exit(2);
    }
    return value;
}

static void read_options(struct fetch_options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"listen", required_argument, NULL, 'l'},   {"key", required_argument, NULL, 'k'},
        {"parallel", required_argument, NULL, 'p'}, {"ranges", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "o:h", known, NULL)) != -1) {
        switch (option) {
        case 'l': options->listen = optarg; break;
        case 'k': options->key_path = optarg; break;
        case 'o': options->out = optarg; break;
        case 'p':
            options->parallel = (uint32_t)number_of(optarg, "--parallel", 1, FETCH_PARALLEL_MAX);
            break;
        case 'r': options->ranges_max = number_of(optarg, "--ranges", 1, INT64_MAX); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    struct fetch_options options = {.listen = ":4001", .parallel = 16};
    read_options(&options, argc, argv);
    char **words = argv + optind;
    int count = argc - optind;
    const char *verb = count > 0 ? words[0] : "";
    /* Whoever watches through a pipe sees each line when it is said. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(verb, "serve") == 0 && count == 2) return fetch_serve(words[1], &options);
    if (strcmp(verb, "get") == 0 && count == 3) return fetch_get(words[1], words[2], &options);
    if (strcmp(verb, "hash") == 0 && count == 2) return print_hash(words[1]);
    if (strcmp(verb, "make") == 0 && count == 4) {
        return make_file(words[1], number_of(words[2], "BYTES", 0, INT64_MAX),
                         number_of(words[3], "SEED", 0, UINT64_MAX));
    }
    fputs(usage, stderr);
    return 2;
}
