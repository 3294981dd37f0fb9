/* SPDX-License-Identifier: MIT */
/* Goal: whoever meets an error in the real world reads one sentence that says what happened and
 * what to do. Method: make each of them happen with files, sockets and names of this machine, print
 * the sentences, and look for the words that matter. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "weir.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECOND_US = 1000000 };
static char folder[] = "/tmp/weir-sentences-XXXXXX";

static weir_node *make_node(void)
{
    weir_node *node;

    assert_int_equal(weir_node_create(NULL, &node, NULL), 0);
    return node;
}

/* One sentence, of some length, with these words, nothing left to format and nothing cut. */
static void check_sentence(const weir_error *error, int32_t code, const char *words)
{
    size_t i, len = strlen(error->detail);

    print_message("  %-22s %s\n", weir_error_name(error->code), error->detail);
    assert_int_equal(error->code, code);
    assert_true(len > 20 && len < sizeof error->detail - 1);
    assert_null(strchr(error->detail, '%'));
    for (i = 0; i < len; i++) assert_in_range(error->detail[i], ' ', '~');
    if (strstr(error->detail, words) == NULL) fail_msg("\"%s\" is not in it", words);
}

static void check_last(weir_node *node, int32_t code, const char *words)
{
    weir_error error = {.size = sizeof error};

    assert_int_equal(weir_last_error(node, &error), 0);
    check_sentence(&error, code, words);
}

static void path_of(char *path, size_t cap, const char *name)
{
    (void)snprintf(path, cap, "%s/%s", folder, name);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_key_files(void **state)
{
    weir_error error = {.size = sizeof error};
    uint8_t key[WEIR_KEY_BYTES], wrong[WEIR_KEY_BYTES];
    char path[200];

    (void)state;
    assert_int_equal(weir_key_generate(key, NULL), 0);
    path_of(path, sizeof path, "none.key");
    assert_int_equal(weir_key_load(path, wrong, &error), WEIR_E_NOT_FOUND);
    check_sentence(&error, WEIR_E_NOT_FOUND, "check the name");
    path_of(path, sizeof path, "good.key");
    assert_int_equal(weir_key_save(path, key, &error), 0);
    assert_int_equal(error.code, 0);
    assert_string_equal(error.detail, "");
    assert_int_equal(weir_key_save(path, key, &error), WEIR_E_EXISTS);
    check_sentence(&error, WEIR_E_EXISTS, "is not overwritten");
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(weir_key_load(path, wrong, &error), WEIR_E_KEY_FILE);
    check_sentence(&error, WEIR_E_KEY_FILE, "chmod 600");
    path_of(path, sizeof path, "bad.key");
    write_file(path, "no key\n", 0600);
    assert_int_equal(weir_key_load(path, wrong, &error), WEIR_E_KEY);
    check_sentence(&error, WEIR_E_KEY, "make a new key");
    path_of(path, sizeof path, "nowhere/a.key");
    assert_int_equal(weir_key_save(path, key, &error), WEIR_E_IO);
    check_sentence(&error, WEIR_E_IO, "make it first");
    memcpy(wrong, key, sizeof wrong);
    wrong[40] ^= 1;
    assert_int_equal(weir_key_save(path, wrong, &error), WEIR_E_KEY);
    check_sentence(&error, WEIR_E_KEY, "do not belong together");
    /* The name of a folder. */
    assert_int_equal(weir_key_load(folder, wrong, &error), WEIR_E_KEY);
    check_sentence(&error, WEIR_E_KEY, "is not a file");
}

static void test_options(void **state)
{
    weir_error error = {.size = sizeof error};
    weir_node_options options = {.size = sizeof options, .memory_bytes = 1000};
    uint8_t longer[sizeof options + 8] = {0};
    uint32_t size = sizeof longer;
    weir_node *node = NULL;
    uint8_t key[WEIR_KEY_BYTES] = {1};

    (void)state;
    assert_int_equal(weir_node_create(&options, &node, &error), WEIR_E_ARGUMENT);
    check_sentence(&error, WEIR_E_ARGUMENT, "memory_bytes is 1000");
    options.memory_bytes = 0;
    options.key = key;
    assert_int_equal(weir_node_create(&options, &node, &error), WEIR_E_KEY);
    check_sentence(&error, WEIR_E_KEY, "do not belong together");
    options.key = NULL;
    options.network = "a name that is much longer than any network of this world would want";
    assert_int_equal(weir_node_create(&options, &node, &error), WEIR_E_NAME);
    check_sentence(&error, WEIR_E_NAME, "64 bytes");
    options.network = NULL;
    options.size = 7;
    assert_int_equal(weir_node_create(&options, &node, &error), WEIR_E_SIZE);
    check_sentence(&error, WEIR_E_SIZE, "size");
    memcpy(longer, &size, sizeof size);
    longer[sizeof options + 3] = 1;
    assert_int_equal(
        weir_node_create((const weir_node_options *)(const void *)longer, &node, &error),
        WEIR_E_UNKNOWN_OPTION);
    check_sentence(&error, WEIR_E_UNKNOWN_OPTION, "does not know");
    assert_null(node);
}

static void serve_fails(weir_node *node, weir_serve_options options, const char *words)
{
    options.size = sizeof options;
    assert_int_equal(weir_node_serve(node, "talk", &options), WEIR_E_ARGUMENT);
    check_last(node, WEIR_E_ARGUMENT, words);
}

static void feed_fails(weir_node *node, weir_feed_options options, int32_t code, const char *words)
{
    options.size = sizeof options;
    assert_int_equal(weir_feed_open(node, "news", &options), code);
    check_last(node, code, words);
}

static void fetch_fails(weir_node *node, weir_fetch_options options, int32_t code,
                        const char *words)
{
    options.size = sizeof options;
    assert_int_equal(weir_fetch_open(node, "part", &options), code);
    check_last(node, code, words);
}

static void test_messages_feeds_and_fetches(void **state)
{
    weir_node *node = make_node();
    uint32_t both = WEIR_KIND_STREAM | WEIR_KIND_REQUEST;

    (void)state;
    serve_fails(node, (weir_serve_options){.kinds = both}, "kinds is one kind, or");
    serve_fails(node, (weir_serve_options){.kinds = WEIR_KIND_MESSAGE},
                "WEIR_OVERFLOW_DROP_NEW or WEIR_OVERFLOW_DROP_OLD");
    serve_fails(node,
                (weir_serve_options){.kinds = WEIR_KIND_REQUEST, .request_max_bytes = 1 << 20},
                "request_chunked, or raise stream_window_bytes");
    feed_fails(node, (weir_feed_options){.keys_max = 1}, WEIR_E_ARGUMENT, "WEIR_FEED_*");
    feed_fails(node, (weir_feed_options){.kind = 1}, WEIR_E_ARGUMENT, "keys_max must be given");
    feed_fails(node, (weir_feed_options){.kind = 1, .keys_max = 1 << 20}, WEIR_E_LIMIT,
               "feed_keys");
    fetch_fails(node, (weir_fetch_options){.part_bytes = 1024}, WEIR_E_ARGUMENT,
                "total_bytes must be given");
    fetch_fails(node, (weir_fetch_options){.total_bytes = 1, .part_bytes = 1}, WEIR_E_ARGUMENT,
                "1 KiB to 16 MiB");
    fetch_fails(node, (weir_fetch_options){.total_bytes = 1 << 30, .part_bytes = 1024},
                WEIR_E_LIMIT, "make part_bytes larger");
    assert_int_equal(weir_node_free(node), 0);
}

static void test_files_and_children(void **state)
{
    static char argument[20000];
    const char *const arguments[] = {"true", argument, NULL};
    weir_node *node = make_node();

    (void)state;
    assert_int_equal(weir_file_open(node, folder, 3, 0, 0), WEIR_E_ARGUMENT);
    check_last(node, WEIR_E_ARGUMENT, "one of WEIR_FILE_READ, WRITE and APPEND");
    memset(argument, 'a', sizeof argument - 1);
    assert_int_equal(weir_unix_open(node, argument, 0), WEIR_E_ARGUMENT);
    check_last(node, WEIR_E_ARGUMENT, "at most 4095 bytes");
    assert_int_equal(weir_child_open(node, arguments, 0), WEIR_E_ARGUMENT);
    check_last(node, WEIR_E_ARGUMENT, "at most 16 KiB");
    assert_int_equal(weir_node_free(node), 0);
}

/* The port of an address, as text after the colon of the invitation. */
static unsigned port_of(weir_node *node, uint32_t i)
{
    char text[WEIR_ADDRESS_TEXT_MAX];
    unsigned port;

    assert_true(weir_node_invitation(node, i, text, sizeof text) > 0);
    assert_int_equal(sscanf(strrchr(text, ':'), ":%u", &port), 1);
    assert_in_range(port, 1, 65535);
    return port;
}

static void listen_fails(weir_node *node, const char *address, int32_t code, const char *words)
{
    assert_int_equal(weir_node_listen(node, address), code);
    check_last(node, code, words);
}

static void test_listening(void **state)
{
    weir_node *a = make_node(), *b = make_node();
    char text[WEIR_ADDRESS_TEXT_MAX], address[64];
    unsigned port;

    (void)state;
    /* Several at once, each with a port of its own. */
    assert_int_equal(weir_node_listen(a, "[::]:0"), 0);
    assert_int_equal(weir_node_listen(a, "0.0.0.0:0"), 0);
    assert_int_equal(weir_node_listen(a, "127.0.0.1:0"), 0);
    assert_int_equal(weir_node_listen(a, ":0"), 0);
    assert_int_equal(weir_node_listen(a, "/ip4/127.0.0.1/udp/0/weir"), 0);
    assert_true(weir_node_address(a, 4, text, sizeof text) > 0);
    assert_non_null(strstr(text, "/ip4/127.0.0.1/udp/"));
    assert_non_null(strstr(text, "/p2p/12D3KooW"));
    assert_int_equal(weir_node_address(a, 5, text, sizeof text), WEIR_E_NOT_FOUND);
    assert_int_equal(weir_node_address(a, 4, text, 10), WEIR_E_SPACE);
    assert_int_equal(weir_node_invitation(a, 4, text, 10), WEIR_E_SPACE);
    port = port_of(a, 1);
    /* The same port again: by this node, by another; everywhere and at one address. */
    (void)snprintf(address, sizeof address, "0.0.0.0:%u", port);
    listen_fails(a, address, WEIR_E_ADDRESS_IN_USE, "this node listens on port");
    listen_fails(b, address, WEIR_E_ADDRESS_IN_USE, "by another program");
    (void)snprintf(address, sizeof address, ":%u", port);
    listen_fails(a, address, WEIR_E_ADDRESS_IN_USE, "this node listens on port");
    listen_fails(b, address, WEIR_E_ADDRESS_IN_USE, "choose another port");
    listen_fails(a, "192.0.2.1:0", WEIR_E_ADDRESS, "not an address of this machine");
    listen_fails(a, "localhost:4001", WEIR_E_ADDRESS, "numeric");
    listen_fails(a, "127.0.0.1", WEIR_E_ADDRESS, "port");
    listen_fails(a, "::1:4001", WEIR_E_ADDRESS, "bracket");
    listen_fails(a, "/ip4/127.0.0.1/tcp/4001", WEIR_E_ADDRESS, "UDP");
    listen_fails(a,
                 "n\xffwh\x1b"
                 "ere",
                 WEIR_E_ADDRESS, "\"n?wh?ere\"");
    /* A port of the same number at another address of this machine is another one. */
    (void)snprintf(address, sizeof address, "127.0.0.2:%u", port_of(a, 2));
    assert_int_equal(weir_node_listen(a, address), 0);
    /* Failures left nothing. */
    assert_true(weir_node_address(a, 5, text, sizeof text) > 0);
    assert_int_equal(weir_node_address(a, 6, text, sizeof text), WEIR_E_NOT_FOUND);
    /* Somebody else's address is not ours. */
    assert_true(weir_node_address(a, 4, text, sizeof text) > 0);
    listen_fails(b, text, WEIR_E_PEER_ID, "another peer's address");
    /* What a closed node had is free again. */
    assert_int_equal(weir_node_close(a), 0);
    (void)snprintf(address, sizeof address, ":%u", port);
    assert_int_equal(weir_node_listen(b, address), 0);
    assert_int_equal(weir_node_free(a), 0);
    assert_int_equal(weir_node_free(b), 0);
}

/* Poll both until the first has an event of this kind. */
static weir_event wait_event(weir_node *node, weir_node *other, uint32_t kind)
{
    weir_event event = {0}, dropped[4];
    uint64_t until_us = weir_node_now(node) + 20 * SECOND_US;

    while (weir_node_now(node) < until_us) {
        assert_true(weir_node_poll(other, dropped, 4, 0) >= 0);
        if (weir_node_poll(node, &event, 1, 1000) == 1 && event.kind == kind) return event;
    }
    fail_msg("no event of kind %u", kind);
    return event;
}

static weir_event dial_fails(weir_node *node, weir_node *other, const char *address,
                             const char *words)
{
    weir_dial_options options = {.size = sizeof options, .timeout_us = 3 * SECOND_US};
    weir_event event;
    char report[1024];
    int64_t handle = weir_node_dial(node, address, &options);

    print_message("  dial %s\n", address);
    assert_true(handle > 0);
    event = wait_event(node, other, WEIR_EVENT_CONNECTION_CLOSED);
    assert_int_equal(event.object, handle);
    assert_true(weir_connection_report(node, event.object, report, sizeof report) > 0);
    print_message("    report: %s\n", report);
    check_last(node, event.error, "the dial failed: ");
    check_last(node, event.error, words);
    return event;
}

static void test_dialling(void **state)
{
    weir_node *a = make_node(), *b = make_node(), *c = make_node();
    char text[WEIR_ADDRESS_TEXT_MAX], id[WEIR_PEER_TEXT_MAX], address[WEIR_ADDRESS_TEXT_MAX];
    weir_peer_id stranger;
    weir_event event;

    (void)state;
    assert_int_equal(weir_node_listen(b, "127.0.0.1:0"), 0);
    assert_int_equal(weir_node_peer(c, &stranger), 0);
    assert_true(weir_peer_format(&stranger, id, sizeof id) > 0);
    /* Names of this kind have no address anywhere (RFC 6761); a machine without name servers
     * cannot know, and says that nobody answered. */
    event = dial_fails(a, b, "no-such-host.invalid:4001", "no-such-host.invalid: ");
    assert_true(event.error == WEIR_E_HOST_UNKNOWN || event.error == WEIR_E_TIMEOUT);
    /* Somebody else lives there. */
    (void)snprintf(text, sizeof text, "weir:%s@127.0.0.1:%u", id, port_of(b, 0));
    event = dial_fails(a, b, text, "ask for its address anew");
    assert_int_equal(event.error, WEIR_E_IDENTITY);
    /* Nobody lives there. */
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", port_of(b, 0));
    assert_int_equal(weir_node_close(b), 0);
    event = dial_fails(a, c, text, "check that it runs");
    assert_int_equal(event.error, WEIR_E_TIMEOUT);
    event = dial_fails(a, c, "255.255.255.255:4001", "reserved");
    assert_int_equal(event.error, WEIR_E_ADDRESS);
    event = dial_fails(a, c, "224.0.0.1:4001", "multicast");
    assert_int_equal(event.error, WEIR_E_ADDRESS);
    event = dial_fails(a, c, "0.0.0.0:4001", "unspecified");
    assert_int_equal(event.error, WEIR_E_ADDRESS);
    /* Not dialled at all. */
    assert_int_equal(weir_node_dial(a, "weir:oops@127.0.0.1:1", NULL), WEIR_E_PEER_ID);
    check_last(a, WEIR_E_PEER_ID, "at byte");
    assert_int_equal(weir_node_dial(a, "", NULL), WEIR_E_ADDRESS);
    check_last(a, WEIR_E_ADDRESS, "at byte 0");
    assert_int_equal(weir_node_listen(a, "127.0.0.1:0"), 0);
    assert_true(weir_node_address(a, 0, address, sizeof address) > 0);
    assert_int_equal(weir_node_dial(a, address, NULL), WEIR_E_PEER_ID);
    check_last(a, WEIR_E_PEER_ID, "this node's own");
    assert_int_equal(weir_peer_dial(a, &stranger, NULL), WEIR_E_NOT_FOUND);
    check_last(a, WEIR_E_NOT_FOUND, "weir_peer_add_address");
    assert_int_equal(weir_node_free(a), 0);
    assert_int_equal(weir_node_free(b), 0);
    assert_int_equal(weir_node_free(c), 0);
}

static void test_every_number_has_its_own_sentence(void **state)
{
    static const int32_t first[] = {-1, -100, -200, -300, -400, -500, -900};
    const char *seen[64];
    size_t i, k, count = 0;
    int32_t code;

    (void)state;
    for (i = 0; i < sizeof first / sizeof first[0]; i++) {
        for (code = first[i]; strcmp(weir_error_name(code), "WEIR_E_?") != 0; code--) {
            const char *sentence = weir_strerror(code);

            for (k = 0; k < count; k++) assert_string_not_equal(seen[k], sentence);
            assert_true(strlen(sentence) > 10 && sentence[strlen(sentence) - 1] != '.');
            seen[count++] = sentence;
            print_message("  %-22s %s\n", weir_error_name(code), sentence);
        }
    }
    assert_int_equal(count, 41);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"good.key", "bad.key"};
    char path[200];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        path_of(path, sizeof path, names[i]);
        (void)unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_has_its_own_sentence),
        cmocka_unit_test(test_key_files),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_messages_feeds_and_fetches),
        cmocka_unit_test(test_files_and_children),
        cmocka_unit_test(test_listening),
        cmocka_unit_test(test_dialling),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
