/* proxy/balance/resolve: lookups beside the loop: what is found, in which order; failures; one that hangs, one that is forgotten. */
#include "proxy/balance/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What the resolver of the wrapped call says, and when: a byte in hold lets it go on. */
static const char *const *answers;
static const char *refusal;
static int hold[2], ended[2], is_held, thread_error;

int __real_sys_each_address(const char *host, void (*fn)(void *context, const struct sockaddr *address), void *context, char *why, size_t why_n);
int __wrap_sys_each_address(const char *host, void (*fn)(void *context, const struct sockaddr *address), void *context, char *why, size_t why_n);
int __real_sys_start_thread(void *(*fn)(void *context), void *context);
int __wrap_sys_start_thread(void *(*fn)(void *context), void *context);

static void tell(const char *text, void (*fn)(void *context, const struct sockaddr *address), void *context)
{
    struct address at = {.port = 1};
    struct sockaddr_storage to;
    socklen_t to_n;
    snprintf(at.host, sizeof at.host, "%s", text);
    if (address_to_sockaddr(&at, &to, &to_n) == 0)
        fn(context, (struct sockaddr *)&to);
}

int __wrap_sys_each_address(const char *host, void (*fn)(void *context, const struct sockaddr *address), void *context, char *why, size_t why_n)
{
    char byte;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    int is_deaf = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGCHLD) == 1 && sigismember(&blocked, SIGPIPE) == 1;
    if (is_held && sys_read(hold[0], &byte, 1) != 1)
        return -EIO;
    if (strcmp(host, "localhost") == 0)
        return __real_sys_each_address(host, fn, context, why, why_n);
    snprintf(why, why_n, "%s", !is_deaf ? "signals are not blocked" : refusal ? refusal : "");
    for (size_t i = 0; is_deaf && answers && answers[i]; i++)
        tell(answers[i], fn, context);
    return refusal || !is_deaf ? -EHOSTUNREACH : 0;
}

/* As the thread, and then a byte: all that it does has been done. */
static void *(*thread_fn)(void *context);

static void *run(void *context)
{
    thread_fn(context);
    (void)!sys_write(ended[1], "x", 1);
    return NULL;
}

int __wrap_sys_start_thread(void *(*fn)(void *context), void *context)
{
    if (!thread_fn)
        thread_fn = fn; /* always the same */
    return thread_error ? thread_error : __real_sys_start_thread(run, context);
}

static struct loop loop;
static struct resolve resolve;
static struct resolve_found found;
static unsigned found_n;

static void on_found(void *context, const struct resolve_found *f)
{
    assert_ptr_equal(context, &loop);
    found = *f;
    found_n++;
}

static int set_up(void **state)
{
    (void)state;
    answers = NULL;
    refusal = NULL;
    found_n = 0;
    is_held = thread_error = 0;
    assert_int_equal(sys_pipe(hold, 0), 0);
    assert_int_equal(sys_pipe(ended, 0), 0);
    assert_int_equal(loop_init(&loop), 0);
    resolve_init(&resolve, &loop, on_found, &loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    resolve_fini(&resolve);
    loop_fini(&loop);
    for (int i = 0; i < 2; i++) {
        sys_close(hold[i]);
        sys_close(ended[i]);
    }
    return 0;
}

static void wait_for_thread(void)
{
    char byte;
    assert_int_equal(sys_read(ended[0], &byte, 1), 1);
}

static void look_up(const char *host)
{
    unsigned before_n = found_n;
    assert_int_equal(resolve_start(&resolve, host), 0);
    assert_int_equal(found_n, before_n); /* never from within */
    while (found_n == before_n)
        assert_int_equal(loop_turn(&loop, -1), 0);
    wait_for_thread();
    assert_false(resolve_is_under_way(&resolve));
}

static void is_found(const char *const *texts)
{
    char text[IP_TEXT_BYTES];
    size_t n = 0;
    for (; texts[n]; n++) {
        assert_true(n < found.ips_n);
        ip_text(&found.ips[n], text);
        assert_string_equal(text, texts[n]);
    }
    assert_int_equal(found.ips_n, n);
}

static void test_addresses_come_in_order_and_once(void **state)
{
    static const char *const from[] = {"10.0.0.9", "10.0.0.2", "10.0.0.9", "192.0.2.1", "10.0.0.2", NULL};
    static const char *const to[] = {"10.0.0.2", "10.0.0.9", "192.0.2.1", NULL};
    (void)state;
    answers = from;
    look_up("ollamas");
    is_found(to);
    look_up("ollamas"); /* and again */
    is_found(to);
}

static void test_a_host_with_both_families_counts_once(void **state)
{
    static const char *const both[] = {"fdaa::3", "10.0.0.9", "fdaa::2", "10.0.0.2", NULL}, *const v4[] = {"10.0.0.2", "10.0.0.9", NULL};
    static const char *const v6_alone[] = {"fdaa::3", "fdaa::2", NULL}, *const v6[] = {"fdaa::2", "fdaa::3", NULL};
    (void)state;
    answers = both;
    look_up("ollamas");
    is_found(v4);
    answers = v6_alone;
    look_up("ollamas.internal");
    is_found(v6);
}

static void test_beyond_its_bound_it_says_so(void **state)
{
    static char texts[70][IP_TEXT_BYTES];
    static const char *many[71];
    char text[IP_TEXT_BYTES];
    (void)state;
    for (int i = 0; i < 70; i++) {
        snprintf(texts[i], sizeof texts[i], "10.0.0.%d", 100 - i);
        many[i] = texts[i];
    }
    answers = many;
    look_up("ollamas");
    assert_int_equal(found.ips_n, RESOLVE_ADDRESSES);
    assert_true(found.is_cut);
    ip_text(&found.ips[0], text);
    assert_string_equal(text, "10.0.0.31"); /* the lowest are kept */
    many[64] = NULL;
    look_up("ollamas");
    assert_int_equal(found.ips_n, RESOLVE_ADDRESSES);
    assert_false(found.is_cut);
}

static void test_failures_are_told_in_words(void **state)
{
    static const char *const none[] = {NULL};
    (void)state;
    refusal = "Name or service not known";
    look_up("nobody");
    assert_int_equal(found.ips_n, 0);
    assert_string_equal(found.why, "Name or service not known");
    refusal = NULL;
    answers = none;
    look_up("empty");
    assert_int_equal(found.ips_n, 0);
    assert_string_equal(found.why, "it has no address");
    thread_error = -EAGAIN;
    assert_int_equal(resolve_start(&resolve, "ollamas"), -EAGAIN);
    assert_false(resolve_is_under_way(&resolve));
}

static void test_the_real_one_knows_this_machine(void **state)
{
    (void)state;
    look_up("localhost");
    assert_true(found.ips_n > 0 && ip_is_loopback(&found.ips[0]));
}

static void test_one_that_hangs_holds_nobody(void **state)
{
    static const char *const one[] = {"10.0.0.1", NULL};
    struct resolve other;
    (void)state;
    answers = one;
    is_held = 1;
    assert_int_equal(resolve_start(&resolve, "ollamas"), 0);
    assert_int_equal(resolve_start(&resolve, "ollamas"), 0); /* no second thread: the teardown would miss its byte */
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(found_n, 0);
    resolve_init(&other, &loop, on_found, &loop); /* another name meanwhile */
    assert_int_equal(resolve_start(&other, "others"), 0);
    assert_int_equal(sys_write(hold[1], "xx", 2), 2);
    while (found_n < 2)
        assert_int_equal(loop_turn(&loop, -1), 0);
    wait_for_thread();
    wait_for_thread();
    is_found(one);
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(found_n, 2);
}

/* We end, or don't care any more: the thread finds nobody who reads, and goes. */
static void test_one_that_is_forgotten_ends_by_itself(void **state)
{
    static const char *const one[] = {"10.0.0.1", NULL};
    (void)state;
    answers = one;
    is_held = 1;
    assert_int_equal(resolve_start(&resolve, "ollamas"), 0);
    resolve_fini(&resolve);
    assert_false(resolve_is_under_way(&resolve));
    assert_int_equal(sys_write(hold[1], "x", 1), 1);
    wait_for_thread();
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(found_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses_come_in_order_and_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_host_with_both_families_counts_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_beyond_its_bound_it_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failures_are_told_in_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_real_one_knows_this_machine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_hangs_holds_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_is_forgotten_ends_by_itself, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
