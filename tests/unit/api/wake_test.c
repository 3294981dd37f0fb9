/* SPDX-License-Identifier: MIT */
/* Goal: weir_node_wake may be called from any thread until weir_node_free, while the node is being
 * closed too. Method: a thread that wakes without a pause, and nodes that are made, polled, closed
 * and freed; the thread sanitizer looks on in the tsan preset. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "weir.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

static atomic_bool is_over;

static void *wake_on(void *node)
{
    while (!atomic_load(&is_over)) (void)weir_node_wake(node);
    return NULL;
}

static void test_wakes_may_race_polls_and_the_close(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        weir_node *node;
        weir_event event;
        pthread_t thread;
        assert_int_equal(weir_node_create(NULL, &node, NULL), 0);
        atomic_store(&is_over, false);
        assert_int_equal(pthread_create(&thread, NULL, wake_on, node), 0);
        for (int i = 0; i < 10; i++) assert_int_equal(weir_node_poll(node, &event, 1, -1), 0);
        assert_int_equal(weir_node_close(node), 0);
        assert_int_equal(weir_node_wake(node), WEIR_E_CLOSED);
        atomic_store(&is_over, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(weir_node_free(node), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wakes_may_race_polls_and_the_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
