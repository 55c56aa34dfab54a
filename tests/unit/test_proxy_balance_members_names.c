/* proxy/balance/member: backends whose hosts are names: addresses that come and go, lookups that fail or hang. */
#include "tests/unit/members_world.h"

enum { ADDRESSES = 100 };

int __wrap_sys_each_address(const char *host, void (*fn)(void *context, const struct sockaddr *address), void *context, char *why, size_t why_n);

/* What the resolver says, as one text: addresses with blanks between them, or `!` and a refusal. It is asked from threads, and so comes by a pipe
 * that always has the latest answer: who reads it puts it back. Without one lookups hang. */
static int answers[2];

static void resolver_says(const char *text)
{
    char former[4096];
    assert_true(sys_read(answers[0], former, sizeof former) > 0);
    assert_int_equal(sys_write(answers[1], text, strlen(text) + 1), (int)strlen(text) + 1);
}

int __wrap_sys_each_address(const char *host, void (*fn)(void *context, const struct sockaddr *address), void *context, char *why, size_t why_n)
{
    char text[4096], *at = text, *rest = NULL;
    (void)host;
    ssize_t n = sys_read(answers[0], text, sizeof text);
    if (n <= 0 || sys_write(answers[1], text, (size_t)n) != n)
        return -EIO;
    if (*text == '!') {
        snprintf(why, why_n, "%.100s", text + 1);
        return -EHOSTUNREACH;
    }
    for (char *word; (word = strtok_r(at, " ", &rest)); at = NULL) {
        struct address address = {.port = 1};
        struct sockaddr_storage to;
        socklen_t to_n;
        snprintf(address.host, sizeof address.host, "%.40s", word);
        if (address_to_sockaddr(&address, &to, &to_n) == 0)
            fn(context, (struct sockaddr *)&to);
    }
    return 0;
}

static int set_up(void **state)
{
    assert_int_equal(sys_pipe(answers, 0), 0);
    assert_int_equal(sys_write(answers[1], "!nothing was said", 18), 18);
    return world_set_up(state);
}

/* Ends when no lookup has the answer: none is under way that could meet the next test's pipe. */
static int tear_down(void **state)
{
    char text[4096];
    for (size_t i = 0; w.members && i < w.members->rows_n; i++)
        UNTIL(!resolve_is_under_way(&w.members->rows[i].resolve));
    world_tear_down(state);
    assert_true(sys_read(answers[0], text, sizeof text) > 0);
    sys_close(answers[0]);
    sys_close(answers[1]);
    return 0;
}

static struct conf_backend *begin_named(const char *says)
{
    resolver_says(says);
    struct conf_backend *b = world_backend("a", "ollamas");
    world_begin();
    return b;
}

/* NAME/127.0.0.N:PORT */
static const char *full(int n)
{
    static char names[WORLD_HOSTS][64];
    snprintf(names[n], sizeof names[n], "a/127.0.0.%d:%u", n, w.port);
    return names[n];
}

static int is_up(const char *name)
{
    return world_is_in(name, BREAKER_CLOSED);
}

static size_t members_n(void)
{
    size_t n = 0;
    for (size_t i = 0; i < BALANCE_BACKENDS; i++)
        n += members_at(w.members, i) != NULL;
    return n;
}

static void test_a_name_with_one_address_is_one_member(void **state)
{
    (void)state;
    begin_named("127.0.0.3");
    assert_non_null(world_member("a"));
    assert_false(member_is_open(world_member("a"), loop_now_ms(&w.loop)));
    assert_int_equal(members_refresh(w.members, 0), 0); /* it will be known soon */
    UNTIL(is_up("a"));
    assert_true(w.hosts[2].ps_n > 0);
    char host[64];
    snprintf(host, sizeof host, "\r\nHost: ollamas:%u\r\n", w.port);
    assert_non_null(strstr(w.hosts[2].request, host));
    assert_int_equal(members_n(), 1);
}

static void test_addresses_come_and_go(void **state)
{
    (void)state;
    begin_named("127.0.0.1");
    UNTIL(is_up("a"));
    struct member *first = world_member("a");
    resolver_says("127.0.0.2 127.0.0.1 127.0.0.3");
    UNTIL(is_up(full(1)) && is_up(full(2)) && is_up(full(3)));
    assert_ptr_equal(world_member(full(1)), first); /* the same, by its name among several */
    assert_null(world_member("a"));
    assert_int_equal(members_n(), 3);
    resolver_says("127.0.0.3 127.0.0.2");
    UNTIL(w.gone_n == 1);
    assert_string_equal(w.gone_name, full(1));
    assert_int_equal(members_n(), 2);
    resolver_says("127.0.0.2");
    UNTIL(w.gone_n == 2);
    assert_string_equal(w.gone_name, full(3));
    assert_true(is_up("a"));
    resolver_says("127.0.0.4"); /* another one in its place */
    UNTIL(w.gone_n == 3 && is_up("a"));
    assert_string_equal(w.gone_name, full(2));
    assert_int_equal(members_n(), 1);
}

static void test_one_in_use_leaves_when_it_is_used_no_more(void **state)
{
    (void)state;
    begin_named("127.0.0.1 127.0.0.2");
    UNTIL(is_up(full(1)) && is_up(full(2)));
    struct member *m = world_member(full(1));
    member_use(m);
    member_use(m);
    resolver_says("127.0.0.2");
    UNTIL(m->is_leaving && is_up("a"));
    assert_string_equal(m->name, full(1)); /* its name is nobody else's */
    assert_false(member_is_open(m, loop_now_ms(&w.loop)));
    member_leave(m);
    unsigned others_n = w.hosts[1].ps_n;
    UNTIL(w.hosts[1].ps_n > others_n); /* what was on its way has come */
    unsigned probes_n = w.hosts[0].ps_n;
    others_n = w.hosts[1].ps_n;
    UNTIL(w.hosts[1].ps_n > others_n + 3);
    assert_int_equal(w.hosts[0].ps_n, probes_n); /* it is left alone */
    assert_int_equal(w.gone_n, 0);
    member_leave(m);
    UNTIL(w.gone_n == 1);
}

static void test_one_that_comes_back_meanwhile_stays(void **state)
{
    (void)state;
    begin_named("127.0.0.1 127.0.0.2");
    UNTIL(is_up(full(1)) && is_up(full(2)));
    struct member *m = world_member(full(1));
    member_use(m);
    resolver_says("127.0.0.2");
    UNTIL(m->is_leaving);
    resolver_says("127.0.0.2 127.0.0.1");
    UNTIL(!m->is_leaving && is_up(full(2)));
    assert_ptr_equal(world_member(full(1)), m);
    unsigned probes_n = w.hosts[0].ps_n;
    UNTIL(w.hosts[0].ps_n > probes_n && member_is_open(m, loop_now_ms(&w.loop)));
    member_leave(m);
    assert_int_equal(w.gone_n, 0);
}

static void test_a_lookup_that_fails_keeps_what_was(void **state)
{
    (void)state;
    begin_named("127.0.0.1 127.0.0.2");
    UNTIL(is_up(full(1)) && is_up(full(2)));
    resolver_says("!Name or service not known");
    UNTIL(w.members->rows[0].is_lost);
    unsigned probes_n = w.hosts[0].ps_n;
    UNTIL(w.hosts[0].ps_n > probes_n + 3);
    assert_true(is_up(full(1)) && is_up(full(2)));
    resolver_says(""); /* nor do addresses go where it says none at all */
    UNTIL(w.members->rows[0].is_lost && w.hosts[0].ps_n > probes_n + 9);
    assert_true(is_up(full(1)) && is_up(full(2)));
    resolver_says("127.0.0.2");
    UNTIL(!w.members->rows[0].is_lost && is_up("a"));
}

static void test_a_name_that_was_never_found_is_down_in_words(void **state)
{
    (void)state;
    begin_named("!Name or service not known");
    UNTIL(world_is_in("a", BREAKER_DOWN));
    assert_string_equal(world_member("a")->why, "ollamas can't be looked up: Name or service not known");
    assert_int_equal(members_refresh(w.members, 0), 1);
    resolver_says("127.0.0.1");
    UNTIL(is_up("a"));
    assert_string_equal(world_member("a")->why, "");
}

/* The other backend, at an address, is served meanwhile, and who waits for lists is told that this one's does not come. */
static void test_a_lookup_that_hangs_holds_nobody(void **state)
{
    char text[4096];
    (void)state;
    assert_true(sys_read(answers[0], text, sizeof text) > 0); /* the resolver is silent now */
    world_backend("a", "ollamas");
    world_backend("b", "127.0.0.2");
    world_begin();
    UNTIL(is_up("b") && world_member("b")->is_listed);
    assert_int_equal(members_refresh(w.members, 30000), 0);
    UNTIL(world_is_in("a", BREAKER_DOWN));
    assert_non_null(strstr(world_member("a")->why, "no name server has answered yet"));
    assert_int_equal(members_refresh(w.members, 30000), 1);
    assert_true(resolve_is_under_way(&w.members->rows[0].resolve));
    assert_int_equal(sys_write(answers[1], "127.0.0.1", 10), 10);
    UNTIL(is_up("a"));
}

static void test_a_failed_request_has_the_name_looked_up_again(void **state)
{
    (void)state;
    w.conf->balancer.resolve_interval_ms = 3600 * 1000;
    begin_named("127.0.0.1");
    UNTIL(is_up("a"));
    resolver_says("127.0.0.2");
    struct member *m = world_member("a");
    member_answered(m, breaker_begin(&m->breaker, loop_now_ms(&w.loop)), BREAKER_BAD, "the connection was closed");
    UNTIL(w.gone_n == 1 && is_up("a"));
    assert_true(w.hosts[1].ps_n > 0);
}

static void test_who_is_drained_by_its_section_stays_so(void **state)
{
    (void)state;
    begin_named("127.0.0.1 127.0.0.2");
    UNTIL(is_up(full(1)) && is_up(full(2)));
    assert_int_equal(members_drain(w.members, full(2), strlen(full(2)), 1), 0);
    assert_true(member_is_open(world_member(full(1)), loop_now_ms(&w.loop)));
    assert_false(member_is_open(world_member(full(2)), loop_now_ms(&w.loop)));
    assert_int_equal(members_drain(w.members, "a", 1, 1), 0);
    assert_false(member_is_open(world_member(full(1)), loop_now_ms(&w.loop)));
    resolver_says("127.0.0.1 127.0.0.2 127.0.0.3");
    UNTIL(is_up(full(3)));
    assert_false(member_is_open(world_member(full(3)), loop_now_ms(&w.loop))); /* a later one, too */
    assert_int_equal(members_drain(w.members, "a", 1, 0), 0);
    for (int i = 1; i <= 3; i++)
        assert_true(member_is_open(world_member(full(i)), loop_now_ms(&w.loop)));
}

static void test_there_is_place_for_so_many(void **state)
{
    char text[ADDRESSES * 16] = "";
    (void)state;
    for (int i = 1; i <= 60; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "127.0.1.%d ", i);
    w.conf->balancer.probe_interval_ms = 3600 * 1000;
    world_backend("b", "127.0.0.2");
    world_backend("c", "others"); /* the same addresses once more */
    begin_named(text);
    UNTIL(w.members->is_full_told && members_n() == BALANCE_BACKENDS);
    assert_non_null(world_member("b"));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_name_with_one_address_is_one_member),
        TEST(test_addresses_come_and_go),
        TEST(test_one_in_use_leaves_when_it_is_used_no_more),
        TEST(test_one_that_comes_back_meanwhile_stays),
        TEST(test_a_lookup_that_fails_keeps_what_was),
        TEST(test_a_name_that_was_never_found_is_down_in_words),
        TEST(test_a_lookup_that_hangs_holds_nobody),
        TEST(test_a_failed_request_has_the_name_looked_up_again),
        TEST(test_who_is_drained_by_its_section_stays_so),
        TEST(test_there_is_place_for_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
