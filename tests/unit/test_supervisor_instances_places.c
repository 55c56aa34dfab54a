/* supervisor/instances: places and ports of engines, and the reason of one that has ended. */
#include "supervisor/instances/places.h"
#include "supervisor/instances/port.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct instances *in;

static int setup(void **state)
{
    (void)state;
    in = calloc(1, sizeof *in);
    return in ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(in);
    return 0;
}

static struct instance *put(size_t n, const char *model, enum contract_state state, uint32_t number)
{
    struct instance *i = &in->items[n];
    snprintf(i->told.model, sizeof i->told.model, "%s", model);
    i->told.state = state;
    i->told.number = number;
    i->told.port = (uint16_t)(40000 + n);
    return i;
}

/* ---- places ---- */

static void test_who_is_there_is_found(void **state)
{
    (void)state;
    assert_null(places_find(in, "a/a"));
    struct instance *a = put(0, "a/a", CONTRACT_STARTING, 1), *c = put(3, "c/c", CONTRACT_STOPPING, 3);
    put(1, "b/b", CONTRACT_FAILED, 2);
    put(2, "d/d", CONTRACT_DOWN, 4);
    assert_ptr_equal(places_find(in, "a/a"), a);
    assert_ptr_equal(places_find(in, "c/c"), c);
    assert_null(places_find(in, "b/b"));
    assert_null(places_find(in, "d/d"));
    assert_int_equal(places_taken_n(in), 2);
}

static void test_the_next_one_gets_its_own_place_or_the_oldest(void **state)
{
    (void)state;
    assert_ptr_equal(places_free(in, "a/a"), &in->items[0]);
    for (size_t n = 0; n < CONTRACT_INSTANCES; n++)
        put(n, "x/x", CONTRACT_READY, (uint32_t)(100 - n));
    assert_null(places_free(in, "a/a"));
    struct instance *newest = put(2, "b/b", CONTRACT_FAILED, 200), *oldest = put(4, "c/c", CONTRACT_DOWN, 50);
    put(6, "d/d", CONTRACT_FAILED, 60);
    assert_ptr_equal(places_free(in, "a/a"), oldest);
    assert_ptr_equal(places_free(in, "b/b"), newest); /* so a model has one row */
}

static void test_a_place_without_a_process_has_no_child(void **state)
{
    (void)state;
    assert_null(places_child_at(NULL, 0));
    assert_null(places_child_at(in, 0));
    in->items[1].is_made = 1;
    assert_ptr_equal(places_child_at(in, 1), &in->items[1].child);
    assert_null(places_child_at(in, CONTRACT_INSTANCES));
}

static void test_ports_are_spoken_for_by_who_is_there(void **state)
{
    (void)state;
    put(0, "a/a", CONTRACT_STARTING, 1);
    put(1, "b/b", CONTRACT_FAILED, 2);
    assert_true(places_is_spoken_for(in, 40000));
    assert_false(places_is_spoken_for(in, 40001));
    assert_false(places_is_spoken_for(in, 40002));
}

/* ---- ports ---- */

static int spoken_for_n;

static int the_first_are_spoken_for(void *context, uint16_t port)
{
    uint16_t *ports = context;
    ports[spoken_for_n < 32 ? spoken_for_n : 31] = port;
    return ++spoken_for_n <= 3;
}

static int all_are_spoken_for(void *context, uint16_t port)
{
    (void)context;
    (void)port;
    spoken_for_n++;
    return 1;
}

static void test_a_port_is_one_that_can_be_bound(void **state)
{
    (void)state;
    uint16_t ports[32];
    spoken_for_n = 0;
    int port = port_choose(the_first_are_spoken_for, ports);
    assert_in_range(port, 1024, 65535);
    assert_int_equal(spoken_for_n, 4);
    assert_int_equal(ports[3], port);
    spoken_for_n = 0;
    assert_int_equal(port_choose(all_are_spoken_for, NULL), -EADDRINUSE);
    assert_in_range(spoken_for_n, 2, 100); /* it comes back */
}

static void test_that_a_port_is_taken_is_read_from_last_words(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int is_taken;
    } cases[] = {
        {"ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use", 1},
        {"OSError: [Errno 98] Address already in use", 1},
        {"main: couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080", 1},
        {"Error: listen EADDRINUSE: address already in use 127.0.0.1:8000", 1},
        {"", 0},
        {"torch.OutOfMemoryError: CUDA out of memory.", 0},
        {"OSError: [Errno 2] No such file or directory", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (port_is_taken_said(cases[i].words) != cases[i].is_taken)
            fail_msg("%s", cases[i].words);
}

/* ---- why ---- */

static struct instance *ended(enum contract_state how, int status, const char *reason, const char *last)
{
    struct instance *i = put(0, "a/a", CONTRACT_STARTING, 1);
    snprintf(i->told.engine, sizeof i->told.engine, "vllm");
    i->child.program.state = how;
    i->child.program.has_exited = status >= 0;
    i->child.program.last_status = status;
    snprintf(i->child.program.reason, sizeof i->child.program.reason, "%s", reason);
    snprintf(i->child.output.last.text, sizeof i->child.output.last.text, "%s", last);
    return i;
}

static void assert_why(const struct instance *i, const char *killed, const char *words)
{
    char why[CONTRACT_REASON_BYTES];
    instance_why(i, killed, why);
    assert_string_equal(why, words);
}

static void test_reasons_are_words_for_who_wanted_it(void **state)
{
    (void)state;
    assert_why(ended(CONTRACT_FAILED, 1 << 8, "exit code 1: ValueError: x", "ValueError: x"), "", "exit code 1: ValueError: x");
    assert_why(ended(CONTRACT_DONE, 0, "", "said \"bye\"\t!"), "", "exit code 0: said 'bye' !");
    assert_why(ended(CONTRACT_DONE, 0, "", ""), "", "exit code 0");
    assert_why(ended(CONTRACT_FAILED, -1, "vllm can't be started: No such file or directory", ""), "",
               "vllm can't be started: No such file or directory; install it, or set command in [engine:vllm]");
    struct instance *late = ended(CONTRACT_FAILED, 9, "not ready within 900000 ms", "loading weights");
    late->is_late = 1;
    assert_why(late, "", "not ready within 900000 ms; it said last: loading weights");
    struct instance *short_of = ended(CONTRACT_BACKOFF, -1, "vllm can't be started: Cannot allocate memory", "");
    short_of->child.program.shortages_n = 1;
    assert_why(short_of, "", "vllm can't be started: Cannot allocate memory");
}

static void test_what_the_kernel_killed_is_told_once(void **state)
{
    (void)state;
    assert_why(ended(CONTRACT_FAILED, 1 << 8, "exit code 1: a worker has died", ""), "the limit is 2.0 GiB",
               "exit code 1: a worker has died; the kernel has killed a process of this machine for want of memory, the limit is 2.0 GiB");
    assert_why(ended(CONTRACT_FAILED, 9, "killed by signal 9 (Killed): out of memory, the limit is 2.0 GiB", ""), "the limit is 2.0 GiB",
               "killed by signal 9 (Killed): out of memory, the limit is 2.0 GiB");
}

static void test_a_reason_of_any_length_is_cut(void **state)
{
    (void)state;
    char words[CONTRACT_REASON_BYTES], why[CONTRACT_REASON_BYTES];
    memset(words, 'x', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    instance_why(ended(CONTRACT_FAILED, 1 << 8, words, words), words, why);
    assert_in_range(strlen(why), 100, CONTRACT_REASON_BYTES - 1);
    instance_why(ended(CONTRACT_DONE, 0, words, words), words, why);
    assert_in_range(strlen(why), 100, CONTRACT_REASON_BYTES - 1);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_who_is_there_is_found),
        CASE(test_the_next_one_gets_its_own_place_or_the_oldest),
        CASE(test_a_place_without_a_process_has_no_child),
        CASE(test_ports_are_spoken_for_by_who_is_there),
        CASE(test_a_port_is_one_that_can_be_bound),
        CASE(test_that_a_port_is_taken_is_read_from_last_words),
        CASE(test_reasons_are_words_for_who_wanted_it),
        CASE(test_what_the_kernel_killed_is_told_once),
        CASE(test_a_reason_of_any_length_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
