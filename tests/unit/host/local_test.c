/* SPDX-License-Identifier: MIT */
/* Goal: children and Unix sockets of the real world are streams: bytes both ways, bounded memory,
 * exit codes, signals, nothing left behind. Method: a real node over a host; cat and sh, a Unix
 * socket that the test listens on. */
#include "local_rig.h"

static void test_a_child_answers_what_it_reads(void **state)
{
    static uint8_t got[1 << 20];
    size_t sent = 0, len = 0;
    uint64_t s;

    (void)state;
    pattern(bytes, sizeof bytes);
    assert_true((s = (uint64_t)try_open(NODE_LOCAL_CHILD, "cat", 4, 0)) > 0);
    while (len < sizeof bytes) {
        int64_t n = 0;

        if (sent < sizeof bytes) n = write_to(s, bytes + sent, sizeof bytes - sent, WEIR_FIN);
        assert_true(n >= 0);
        sent += (size_t)n;
        n = read_from(s, got + len, sizeof got - len);
        assert_true(n >= 0);
        len += (size_t)n;
        if (n == 0) (void)poll_for(-1);
    }
    assert_memory_equal(got, bytes, sizeof bytes);
    assert_int_equal(read_all(s, got, 1), 0);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).amount, 0);
}

static void test_exit_codes_and_signals_are_told(void **state)
{
    static const struct {
        const char *script;
        uint64_t amount;
    } cases[] = {{"exit 0", 0}, {"exit 7", 7}, {"exit 255", 255}, {"kill -9 $$", 256 + 9}};
    unsigned i;
    uint64_t s;

    (void)state;
    for (i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        s = open_shell(cases[i].script);
        weir_event e = wait_event(s, WEIR_EVENT_STREAM_CLOSED);
        assert_int_equal(e.error, 0);
        assert_int_equal(e.amount, cases[i].amount);
    }
    s = (uint64_t)try_open(NODE_LOCAL_CHILD, "/no/such/program", 17, 0);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, WEIR_E_NOT_FOUND);
}

static void test_a_child_that_never_reads_blocks_its_writer_at_the_window(void **state)
{
    uint64_t s = open_shell("exec sleep 600"), taken = 0;
    int64_t n;

    (void)state;
    do {
        while ((n = write_to(s, bytes, sizeof bytes, 0)) > 0) taken += (uint64_t)n;
        assert_int_equal(n, 0);
    } while (poll_for(QUIET_US) > 0);
    assert_in_range(taken, window(), window() + PIPE_BYTES);
    give_up(s, NODE_CALL_STREAM_RESET);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).amount, 256 + SIGTERM);
}

static void test_a_child_that_is_not_read_is_stopped_by_its_pipe(void **state)
{
    uint64_t s = open_shell("exec yes");
    weir_stream_info info = {.size = sizeof info};

    (void)state;
    (void)wait_event(s, WEIR_EVENT_READABLE);
    while (poll_for(QUIET_US) > 0) continue;
    assert_int_equal(node_stream_info(rig.node, s, &info), 0);
    assert_int_equal(info.bytes_readable, window());
    /* Who stops reading ends it: it writes into a closed pipe. */
    give_up(s, NODE_CALL_STREAM_STOP);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).amount, 256 + SIGPIPE);
}

static void test_a_child_that_ignores_sigterm_is_killed_later(void **state)
{
    uint64_t s = open_shell("trap '' TERM; echo up; while :; do sleep 1; done"), start_us;

    (void)state;
    (void)wait_event(s, WEIR_EVENT_READABLE);
    start_us = clock_now_us();
    give_up(s, NODE_CALL_STREAM_RESET);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).amount, 256 + SIGKILL);
    assert_true(clock_now_us() - start_us >= 2000000);
}

static void test_writing_to_a_child_that_closed_its_input_is_no_signal(void **state)
{
    uint64_t s = open_shell("exec 0<&-; echo ready; exec sleep 600");

    (void)state;
    (void)wait_event(s, WEIR_EVENT_READABLE);
    assert_int_equal(write_to(s, "x", 1, 0), 1);
    (void)wait_event(s, WEIR_EVENT_STREAM_STOPPED);
    assert_int_equal(write_to(s, "x", 1, 0), WEIR_E_STOPPED);
    give_up(s, NODE_CALL_STREAM_RESET);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).amount, 256 + SIGTERM);
}

static int listen_at(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(path) < sizeof name.sun_path);
    memcpy(name.sun_path, path, strlen(path) + 1);
    assert_int_equal(bind(fd, (const struct sockaddr *)&name, sizeof name), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void test_a_unix_socket_is_a_stream_both_ways(void **state)
{
    int listener = listen_at(at("socket")), fd;
    uint64_t s = open_unix(at("socket"));
    char text[16];

    (void)state;
    assert_int_equal(write_to(s, "question", 8, WEIR_FIN), 8);
    (void)poll_for(0);
    fd = accept(listener, NULL, NULL);
    while (recv(fd, text, sizeof text, MSG_PEEK | MSG_DONTWAIT) != 8) (void)poll_for(1000);
    assert_int_equal(read(fd, text, sizeof text), 8);
    assert_memory_equal(text, "question", 8);
    assert_int_equal(read(fd, text, sizeof text), 0);
    assert_int_equal(write(fd, "answer", 6), 6);
    (void)close(fd);
    assert_int_equal(read_all(s, bytes, sizeof bytes), 6);
    assert_memory_equal(bytes, "answer", 6);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
    (void)close(listener);
    s = open_unix(at("socket"));
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, WEIR_E_REFUSED);
    s = open_unix(at("nothing"));
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, WEIR_E_NOT_FOUND);
}

static void test_a_unix_socket_that_goes_stops_the_writer(void **state)
{
    int listener = listen_at(at("socket")), fd;
    uint64_t s = open_unix(at("socket"));

    (void)state;
    (void)poll_for(0);
    fd = accept(listener, NULL, NULL);
    (void)close(fd);
    (void)close(listener);
    assert_int_equal(wait_event(s, WEIR_EVENT_READABLE).error, WEIR_E_END);
    assert_int_equal(write_to(s, "x", 1, 0), 1);
    assert_int_equal(wait_event(s, WEIR_EVENT_STREAM_CLOSED).error, 0);
}

static void test_the_descriptor_is_ready_when_something_happened(void **state)
{
    uint64_t s = open_shell("echo word; exec cat");

    (void)state;
    /* A loop of the application's own: it calls poll only when the descriptor is ready. */
    while (rig.count == 0) {
        wait_readable(host_driver.fd(rig.host));
        (void)poll_for(0);
    }
    assert_int_equal(rig.last[0].kind, WEIR_EVENT_STREAM);
    (void)wait_event(s, WEIR_EVENT_READABLE);
    assert_int_equal(read_from(s, bytes, sizeof bytes), 5);
    assert_int_equal(write_to(s, "", 0, WEIR_FIN), 0);
    (void)poll_for(0);
    for (;;) {
        uint32_t i, last = WEIR_EVENT_NONE;

        for (i = 0; i < rig.count; i++) last = rig.last[i].kind;
        if (last == WEIR_EVENT_STREAM_CLOSED) break;
        wait_readable(host_driver.fd(rig.host));
        (void)poll_for(0);
    }
    assert_int_equal(rig.last[rig.count - 1].amount, 0);
}

/* Until the system has forgotten a child; it is waited for by the closed node's own thread. */
static void wait_gone(pid_t pid)
{
    siginfo_t info;

    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0 || errno == EINTR) continue;
    assert_int_equal(errno, ECHILD);
}

static void test_closing_the_node_kills_children_and_leaves_nothing(void **state)
{
    int before, round;

    (void)state;
    put_file("f", bytes, sizeof bytes);
    rig_close();
    before = descriptors_open();
    for (round = 0; round < 20; round++) {
        char text[32] = {0};
        uint64_t s;
        int64_t n;
        pid_t pid;

        rig_open();
        s = open_shell("trap '' TERM; echo $$; exec sleep 600");
        (void)wait_event(s, WEIR_EVENT_READABLE);
        n = read_from(s, text, sizeof text - 1);
        assert_true(n > 0);
        pid = (pid_t)atoi(text);
        (void)open_file(at("f"), WEIR_FILE_READ, 0);
        s = open_file(at("g"), WEIR_FILE_WRITE, 0);
        assert_int_equal(write_to(s, bytes, 100000, WEIR_FIN), 100000);
        (void)poll_for(0); /* operations are under way */
        rig_close();
        wait_gone(pid);
    }
    /* The last threads give their descriptors back when they end. */
    while (descriptors_open() > before) continue;
}

static void test_limits_of_children_hold(void **state)
{
    uint64_t max = rig.limits.value[LIMIT_CHILDREN], i, s = 0;

    (void)state;
    for (i = 0; i < max; i++) s = open_shell("exec cat");
    assert_int_equal(try_open(NODE_LOCAL_CHILD, "cat", 4, 0), WEIR_E_LIMIT);
    assert_string_equal(node_error(rig.node)->limit_name, "children");
    give_up(s, NODE_CALL_STREAM_RESET);
    (void)wait_event(s, WEIR_EVENT_STREAM_CLOSED);
    assert_true(try_open(NODE_LOCAL_CHILD, "cat", 4, 0) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_child_answers_what_it_reads),
        TEST(test_exit_codes_and_signals_are_told),
        TEST(test_a_child_that_never_reads_blocks_its_writer_at_the_window),
        TEST(test_a_child_that_is_not_read_is_stopped_by_its_pipe),
        TEST(test_a_child_that_ignores_sigterm_is_killed_later),
        TEST(test_writing_to_a_child_that_closed_its_input_is_no_signal),
        TEST(test_a_unix_socket_is_a_stream_both_ways),
        TEST(test_a_unix_socket_that_goes_stops_the_writer),
        TEST(test_the_descriptor_is_ready_when_something_happened),
        TEST(test_closing_the_node_kills_children_and_leaves_nothing),
        TEST(test_limits_of_children_hold),
    };

    if (secret_init() != 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
