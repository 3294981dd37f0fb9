/* SPDX-License-Identifier: MIT */
/* Goal: files of the real world are streams: bytes both ways, bounded memory, errors by name,
 * nothing left behind; FIFOs and terminals never hold anybody. Method: a real node over a host,
 * files and FIFOs in a temporary folder, a pty of which the test is the master. */
#include "local_rig.h"
#include <termios.h>
#include <unistd.h>

static void test_a_file_is_read_from_its_beginning_and_from_an_offset(void **state)
{
    static uint8_t got[400000];
    static const uint64_t offsets[] = {0, 1, 65536, 299999, 300000, 1000000};
    unsigned i;

    (void)state;
    pattern(bytes, 300000);
    put_file("f", bytes, 300000);
    for (i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        uint64_t s = open_file(at("f"), WEIR_FILE_READ, offsets[i]);
        size_t want = offsets[i] < 300000 ? (size_t)(300000 - offsets[i]) : 0;

        assert_int_equal(read_all(s, got, sizeof got), want);
        assert_memory_equal(got, bytes + 300000 - want, want);
        assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
    }
}

static void test_what_is_written_is_in_the_file_when_the_stream_is_over(void **state)
{
    static uint8_t got[1 << 20];
    uint64_t s;

    (void)state;
    pattern(bytes, sizeof bytes);
    s = open_file(at("f"), WEIR_FILE_WRITE, 0);
    write_all(s, bytes, 1000000, WEIR_FIN);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
    assert_int_equal(get_file("f", got, sizeof got), 1000000);
    assert_memory_equal(got, bytes, 1000000);
    s = open_file(at("f"), WEIR_FILE_WRITE, 0);
    assert_int_equal(write_to(s, "hello", 5, WEIR_FIN), 5);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
    s = open_file(at("f"), WEIR_FILE_APPEND, 0);
    assert_int_equal(write_to(s, " there", 6, WEIR_FIN), 6);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
    s = open_file(at("f"), WEIR_FILE_WRITE, 4);
    assert_int_equal(write_to(s, "O", 1, WEIR_FIN), 1);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
    assert_int_equal(get_file("f", got, sizeof got), 11);
    assert_memory_equal(got, "hellO there", 11);
}

static void test_what_the_system_refuses_comes_with_the_end(void **state)
{
    const struct {
        const char *path;
        uint32_t mode;
        int error;
    } cases[] = {
        {"missing", WEIR_FILE_READ, WEIR_E_NOT_FOUND},
        {"no/folder", WEIR_FILE_WRITE, WEIR_E_NOT_FOUND},
        {"there", WEIR_FILE_WRITE | WEIR_FILE_NEW, WEIR_E_EXISTS},
        {"closed", WEIR_FILE_READ, WEIR_E_PERMISSION},
        {"folder", WEIR_FILE_READ, WEIR_E_IO},
        {"folder", WEIR_FILE_WRITE, WEIR_E_IO},
        {"fifo", WEIR_FILE_WRITE, WEIR_E_IO}, /* nobody reads it */
        {"socket", WEIR_FILE_READ, WEIR_E_IO},
    };
    unsigned i;

    (void)state;
    put_file("there", "x", 1);
    put_file("closed", "x", 1);
    assert_int_equal(chmod(at("closed"), 0), 0);
    assert_int_equal(mkdir(at("folder"), 0700), 0);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    assert_int_equal(mknod(at("socket"), S_IFSOCK | 0600, 0), 0);
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s;

        if (cases[i].error == WEIR_E_PERMISSION && geteuid() == 0) {
            print_message("skipped: root may read everything\n");
            continue;
        }
        s = open_file(at(cases[i].path), cases[i].mode, 0);
        assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, cases[i].error);
    }
    assert_true(node_metrics(rig.node)->value[METRIC_LOCAL_FAILED] >= 6);
}

static void test_a_full_disk_ends_the_stream(void **state)
{
    uint64_t s = open_file("/dev/full", WEIR_FILE_WRITE, 0);

    (void)state;
    assert_int_equal(write_to(s, "hello", 5, 0), 5);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, WEIR_E_IO);
}

static void test_a_file_that_nobody_consumes_holds_no_more_than_its_window(void **state)
{
    uint64_t s, sum = 0;
    weir_stream_info info = {.size = sizeof info};
    int64_t n;
    int fd = open(at("big"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(ftruncate(fd, BIG_BYTES), 0);
    (void)close(fd);
    s = open_file(at("big"), WEIR_FILE_READ, 0);
    (void)wait_event(s, WEIR_EVENT_READABLE);
    while (poll_for(QUIET_US) > 0) continue;
    assert_int_equal(node_stream_info(rig.node, s, &info), 0);
    assert_int_equal(info.bytes_readable, window());
    assert_true(node_memory_used(rig.node) < 2 * window());
    while ((n = read_from(s, bytes, sizeof bytes)) != WEIR_E_END) {
        assert_true(n >= 0);
        sum += (uint64_t)n;
        if (n == 0) (void)poll_for(-1);
    }
    assert_int_equal(sum, BIG_BYTES);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
}

static void test_hundreds_that_are_dropped_leave_no_descriptor(void **state)
{
    enum { ROUNDS = 4, EACH = 100 };
    uint64_t handles[EACH];
    uint32_t open = 0, i, k;
    int before;

    (void)state;
    put_file("f", bytes, 200000);
    while (poll_for(0) > 0) continue;
    before = descriptors_open();
    for (i = 0; i < ROUNDS * EACH; i++) {
        handles[open++] = open_file(at("f"), i % 2 == 0 ? WEIR_FILE_READ : WEIR_FILE_APPEND, 0);
        if (i % 16 == 0) (void)poll_for(0);
        if (open < EACH) continue;
        for (k = 0; k < EACH; k++) {
            struct node_call stop = {.kind = NODE_CALL_STREAM_STOP, .object = handles[k]};
            struct node_call reset = {.kind = NODE_CALL_STREAM_RESET, .object = handles[k]};

            (void)call(&stop);
            (void)call(&reset);
        }
        while (node_metrics(rig.node)->value[METRIC_LOCAL_OPEN] > 0) (void)poll_for(-1);
        open = 0;
    }
    for (i = 0; i < 8; i++) {
        uint64_t s = open_shell("exit 1");

        (void)wait_event(s, WEIR_EVENT_STREAM_CLOSED);
    }
    (void)poll_for(0);
    assert_int_equal(descriptors_open(), before);
}

static int open_end(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    assert_true(fd >= 0);
    return fd;
}

static void put(int fd, const void *data, size_t len)
{
    assert_int_equal(write(fd, data, len), len);
}

static void test_a_fifo_is_read_as_it_is_written_and_ends_with_its_writer(void **state)
{
    uint8_t got[64];
    uint64_t s;
    int fd;

    (void)state;
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    s = open_file(at("fifo"), WEIR_FILE_READ, 0);
    (void)wait_event(s, WEIR_EVENT_STREAM);
    /* No writer is no end, until there was one. */
    while (poll_for(QUIET_US) > 0) continue;
    assert_int_equal(read_from(s, got, sizeof got), 0);
    fd = open_end(at("fifo"), O_WRONLY);
    put(fd, "one ", 4);
    (void)wait_event(s, WEIR_EVENT_READABLE);
    assert_int_equal(read_from(s, got, sizeof got), 4);
    put(fd, "two", 3);
    (void)close(fd);
    assert_int_equal(read_all(s, got, sizeof got), 3);
    assert_memory_equal(got, "two", 3);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
}

static void test_a_fifo_that_nobody_consumes_holds_no_more_than_its_window(void **state)
{
    weir_stream_info info = {.size = sizeof info};
    uint64_t s, taken = 0, came;
    ssize_t n;
    int fd;

    (void)state;
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    s = open_file(at("fifo"), WEIR_FILE_READ, 0);
    (void)wait_event(s, WEIR_EVENT_STREAM);
    fd = open_end(at("fifo"), O_WRONLY);
    pattern(bytes, sizeof bytes);
    do {
        while ((n = write(fd, bytes, 4096)) > 0) taken += (uint64_t)n;
    } while (poll_for(QUIET_US) > 0);
    assert_int_equal(node_stream_info(rig.node, s, &info), 0);
    assert_int_equal(info.bytes_readable, window());
    assert_in_range(taken, window(), window() + PIPE_BYTES);
    (void)close(fd);
    came = read_all(s, bytes, sizeof bytes);
    assert_int_equal(came, taken);
}

static void test_a_fifo_is_written_as_it_is_read(void **state)
{
    static uint8_t got[1 << 20];
    size_t sent = 0, len = 0;
    uint64_t s;
    int fd;

    (void)state;
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    fd = open_end(at("fifo"), O_RDONLY);
    s = open_file(at("fifo"), WEIR_FILE_WRITE, 0);
    pattern(bytes, sizeof bytes);
    while (len < sizeof bytes) {
        int64_t took = 0;
        ssize_t n;

        if (sent < sizeof bytes) took = write_to(s, bytes + sent, sizeof bytes - sent, WEIR_FIN);
        assert_true(took >= 0);
        sent += (size_t)took;
        n = read(fd, got + len, sizeof got - len);
        if (n > 0) len += (size_t)n;
        if (n <= 0) (void)poll_for(QUIET_US);
    }
    assert_memory_equal(got, bytes, sizeof bytes);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
    assert_int_equal(read(fd, got, 1), 0);
    /* Who reads no more ends it, and no signal ends us. */
    s = open_file(at("fifo"), WEIR_FILE_WRITE, 0);
    (void)wait_event(s, WEIR_EVENT_STREAM);
    (void)close(fd);
    assert_int_equal(write_to(s, "x", 1, 0), 1);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, WEIR_E_PEER_CLOSED);
}

static int open_terminal(char *name, size_t size)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

    assert_true(fd >= 0);
    assert_int_equal(grantpt(fd), 0);
    assert_int_equal(unlockpt(fd), 0);
    assert_int_equal(ptsname_r(fd, name, size), 0);
    return fd;
}

static void test_a_terminal_is_read_line_by_line_until_its_end(void **state)
{
    uint8_t got[64];
    char name[64];
    int fd = open_terminal(name, sizeof name);
    uint64_t s = open_file(name, WEIR_FILE_READ, 0);

    (void)state;
    (void)wait_event(s, WEIR_EVENT_STREAM);
    while (poll_for(QUIET_US) > 0) continue;
    put(fd, "half", 4);
    while (poll_for(QUIET_US) > 0) continue;
    assert_int_equal(read_from(s, got, sizeof got), 0);
    put(fd, " a line\n", 8);
    (void)wait_event(s, WEIR_EVENT_READABLE);
    assert_int_equal(read_from(s, got, sizeof got), 12);
    assert_memory_equal(got, "half a line\n", 12);
    put(fd, "\4", 1); /* Ctrl-D */
    assert_int_equal(read_all(s, got, sizeof got), 0);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
    (void)close(fd);
}

/* The watchdog ends a test that hangs. */
static void test_nobody_who_waits_for_a_writer_holds_the_stream_or_the_node(void **state)
{
    char name[64];
    int terminal = open_terminal(name, sizeof name), before;
    unsigned i;

    (void)state;
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    while (poll_for(0) > 0) continue;
    before = descriptors_open();
    for (i = 0; i < 40; i++) {
        uint64_t s = open_file(i % 2 ? name : at("fifo"), WEIR_FILE_READ, 0);

        if (i % 4 < 2) (void)wait_event(s, WEIR_EVENT_STREAM);
        give_up(s, NODE_CALL_STREAM_STOP);
        (void)wait_event(s, WEIR_EVENT_STREAM_CLOSED);
    }
    (void)poll_for(0);
    assert_int_equal(descriptors_open(), before);
    for (i = 0; i < 4; i++) {
        uint64_t s = open_file(i % 2 ? name : at("fifo"), WEIR_FILE_READ, 0);

        if (i < 2) (void)wait_event(s, WEIR_EVENT_STREAM);
    }
    rig_close();
    (void)close(terminal);
}

static void test_what_epoll_refuses_is_read_as_a_file(void **state)
{
    uint8_t got[64];
    uint64_t s = open_file("/dev/null", WEIR_FILE_READ, 0);

    (void)state;
    assert_int_equal(read_all(s, got, sizeof got), 0);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
    s = open_file("/dev/zero", WEIR_FILE_READ, 0);
    (void)wait_event(s, WEIR_EVENT_READABLE);
    assert_int_equal(read_from(s, got, sizeof got), sizeof got);
    give_up(s, NODE_CALL_STREAM_STOP);
    (void)wait_event(s, WEIR_EVENT_STREAM_CLOSED);
}

/* An open that finds no memory is refused, one that finds none later ends, and nothing is left. */
static void test_every_allocation_of_a_file_may_fail(void **state)
{
    struct mem_counter heap;
    uint64_t n = 0;
    bool has_failed = true;

    (void)state;
    put_file("f", "bytes", 5);
    rig_close();
    while (has_failed) {
        const char *path = at("f");
        int64_t s;

        mem_counter_init(&heap, mem_system());
        rig.mem = &heap.mem;
        rig_open();
        heap.fail_at = ++n;
        s = try_open(NODE_LOCAL_FILE | WEIR_FILE_READ << 8, path, strlen(path), 0);
        if (s > 0) {
            while (node_metrics(rig.node)->value[METRIC_LOCAL_OPEN] > 0) {
                (void)poll_for(-1);
                (void)read_from((uint64_t)s, bytes, sizeof bytes);
            }
        } else {
            assert_int_equal(s, WEIR_E_MEMORY);
        }
        has_failed = heap.fail_at == 0;
        heap.fail_at = 0;
        rig_close();
        assert_int_equal(heap.live_bytes, 0);
    }
    rig.mem = NULL;
    assert_true(n > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_file_is_read_from_its_beginning_and_from_an_offset),
        TEST(test_what_is_written_is_in_the_file_when_the_stream_is_over),
        TEST(test_what_the_system_refuses_comes_with_the_end),
        TEST(test_a_full_disk_ends_the_stream),
        TEST(test_a_file_that_nobody_consumes_holds_no_more_than_its_window),
        TEST(test_hundreds_that_are_dropped_leave_no_descriptor),
        TEST(test_a_fifo_is_read_as_it_is_written_and_ends_with_its_writer),
        TEST(test_a_fifo_that_nobody_consumes_holds_no_more_than_its_window),
        TEST(test_a_fifo_is_written_as_it_is_read),
        TEST(test_a_terminal_is_read_line_by_line_until_its_end),
        TEST(test_nobody_who_waits_for_a_writer_holds_the_stream_or_the_node),
        TEST(test_what_epoll_refuses_is_read_as_a_file),
        TEST(test_every_allocation_of_a_file_may_fail),
    };

    if (secret_init() != 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
