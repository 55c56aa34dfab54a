/* proxy/balance/member: probes and lists of Ollamas at addresses; what is wrong with one in words; merged lists; drained, down, back. */
#include "tests/unit/members_world.h"

#define MODEL(name) "{\"name\":\"" name "\",\"digest\":\"sha256:0123\",\"x\":[9007199254740993]}"

static int is_quiet(const struct member *m)
{
    return !m->is_probing && !m->is_listing && !m->is_changed;
}

static void begin_one(void)
{
    world_backend("a", "127.0.0.1");
    world_begin();
}

static void test_one_that_is_well_is_probed_and_listed(void **state)
{
    (void)state;
    w.hosts[0] = (struct world_host){.ps = ANSWER("{\"models\":[{\"name\":\"m:latest\"},{\"name\":\"n\"},{\"size\":1}]}"),
                                     .tags = ANSWER("{\"models\":[" MODEL("m:latest") "]}")};
    begin_one();
    struct member *m = world_member("a");
    assert_non_null(m);
    assert_int_equal(member_is_open(m, loop_now_ms(&w.loop)), 0);
    assert_int_equal(members_refresh(w.members, 0), 0); /* its first list is awaited */
    assert_int_equal(member_has(m, "m", loop_now_ms(&w.loop)), INSTALLED_UNKNOWN);
    UNTIL(m->is_listed && is_quiet(m) && world_is_in("a", BREAKER_CLOSED));
    assert_true(w.changed_n > 0);
    assert_true(member_is_open(m, loop_now_ms(&w.loop)));
    assert_string_equal(w.loaded, "m:latest n ");
    assert_int_equal(member_has(m, "m", loop_now_ms(&w.loop)), INSTALLED_YES);
    assert_int_equal(member_has(m, "n", loop_now_ms(&w.loop)), INSTALLED_NO);
    assert_int_equal(members_refresh(w.members, 30000), 1);
    assert_non_null(strstr(w.hosts[0].request, "\r\nVia: "));
    assert_null(strstr(w.hosts[0].request, "Authorization"));
    unsigned probes_n = w.hosts[0].ps_n;
    UNTIL(w.hosts[0].ps_n > probes_n + 2);
    assert_int_equal(w.hosts[0].tags_n, 1); /* nobody uses it */
}

static void test_a_key_and_a_path_are_its_own(void **state)
{
    char key[] = "secret", path_of_all[64];
    (void)state;
    struct conf_backend *b = world_backend("a", "127.0.0.1");
    b->key = key;
    snprintf(path_of_all, sizeof path_of_all, "%s/team/ollama/", b->url);
    b->url = path_of_all;
    world_begin();
    UNTIL(world_is_in("a", BREAKER_CLOSED));
    assert_non_null(strstr(w.hosts[0].request, "GET /team/ollama/api/"));
    assert_non_null(strstr(w.hosts[0].request, "\r\nAuthorization: Bearer secret\r\n"));
    assert_string_equal(world_member("a")->path, "/team/ollama");
    assert_string_equal(world_member("a")->backend.authorization, "Bearer secret");
}

#define JSON_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
/* Such a text so many times, and what is behind it; in memory that stays. */
static const char *repeated(const char *text, size_t times_n, const char *behind)
{
    static char pool[1 << 20];
    static size_t used_n;
    char *out = pool + used_n;
    for (size_t i = 0; i <= times_n; i++) {
        const char *piece = i < times_n ? text : behind;
        assert_true(used_n + strlen(piece) < sizeof pool);
        memcpy(pool + used_n, piece, strlen(piece) + 1);
        used_n += strlen(piece);
    }
    used_n++;
    return out;
}

/* reference: bad input of backends. */
static void test_whatever_is_wrong_becomes_a_sentence(void **state)
{
    const struct {
        const char *answer, *words;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>Welcome</html>", "no answer of Ollama's"},
        {ANSWER("{\"models\":{}}"), "no answer of Ollama's"},
        {ANSWER("{\"models\":[]} and more"), "no answer of Ollama's"},
        {ANSWER("{\"models\":[{\"name\":\"m\"}"), "no answer of Ollama's"},
        {ANSWER("null"), "no answer of Ollama's"},
        {ANSWER(""), "no answer of Ollama's"},
        {STATUS("302 Found\r\nLocation: http://127.0.0.2/"), "status 302: it leads elsewhere, which is not followed"},
        {STATUS("401 Unauthorized"), "status 401: it does not take requests without a key: set `key` of [backend:a]"},
        {STATUS("403 Forbidden"), "status 403"},
        {STATUS("404 Not Found"), "does Ollama's API begin below this url?"},
        {STATUS("500 Oh"), "GET /api/ps: status 500"},
        {STATUS("508 Loop Detected"), "leads back"},
        {JSON_HEAD "Content-Encoding: gzip\r\nConnection: close\r\n\r\n\x1f\x8b", "encoded"},
        {repeated(NOTHING_LOADED, 1, repeated("          ", 30000, "")), "too long"},
        {JSON_HEAD "Content-Length: 30\r\n\r\n{\"models\":[", "the connection was closed"},
        {"SSH-2.0-OpenSSH_9.2\r\n", "the connection was closed"},
        {repeated("HTTP/1.1 100 Continue\r\n\r\n", 2000, ""), "the connection was closed"},
        {"", "the connection was closed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        w.hosts[0].ps = rows[i].answer;
        begin_one();
        UNTIL(world_is_in("a", BREAKER_DOWN));
        const struct member *m = world_member("a");
        if (!strstr(m->why, rows[i].words))
            fail_msg("%zu: %s", i, m->why);
        assert_int_equal(w.hosts[1].ps_n, 0); /* no redirect is followed */
        world_tear_down(state);
        world_set_up(state);
    }
}

static void test_a_list_that_is_none_is_told_and_asked_for_again(void **state)
{
    (void)state;
    w.hosts[0].tags = ANSWER("<html>");
    begin_one();
    struct member *m = world_member("a");
    UNTIL(!m->is_listing && world_is_in("a", BREAKER_CLOSED) && w.hosts[0].tags_n > 0);
    UNTIL(strstr(m->why, "GET /api/tags: what came is no list of models"));
    assert_false(m->is_listed);
    w.hosts[0].tags = ANSWER("{\"models\":[" MODEL("m") "]}");
    UNTIL(m->is_listed);
}

static void test_it_falls_and_rises(void **state)
{
    (void)state;
    w.conf->balancer.slow_start_ms = 100000;
    world_backend("a", "127.0.0.1")->slots = 8;
    world_begin();
    struct member *m = world_member("a");
    UNTIL(world_is_in("a", BREAKER_CLOSED));
    assert_int_equal(member_slots(m, loop_now_ms(&w.loop)), 8);
    unsigned probes_n = w.hosts[0].ps_n;
    w.hosts[0].ps = STATUS("500 Oh");
    UNTIL(world_is_in("a", BREAKER_DOWN));
    assert_true(w.hosts[0].ps_n >= probes_n + 3);
    assert_false(member_is_open(m, loop_now_ms(&w.loop)));
    assert_int_equal(members_refresh(w.members, 0), 1); /* nobody waits for who is down */
    UNTIL(is_quiet(m));
    w.hosts[0].ps = NOTHING_LOADED;
    UNTIL(world_is_in("a", BREAKER_CLOSED));
    assert_int_equal(member_slots(m, loop_now_ms(&w.loop)), 1);
    assert_string_equal(m->why, "");
}

static void test_a_refused_connection_is_a_bad_probe(void **state)
{
    (void)state;
    loop_remove(&w.loop, w.listener_fd);
    sys_close(w.listener_fd);
    w.listener_fd = -1;
    begin_one();
    UNTIL(world_is_in("a", BREAKER_DOWN));
    assert_non_null(strstr(world_member("a")->why, "refused"));
    listen_everywhere();
    UNTIL(world_is_in("a", BREAKER_CLOSED) && world_member("a")->is_listed);
}

static void test_one_that_hangs_is_down_when_its_time_is_up(void **state)
{
    (void)state;
    w.conf->balancer.probe_timeout_ms = 30;
    w.hosts[0].ps = NULL;
    begin_one();
    UNTIL(world_is_in("a", BREAKER_DOWN));
    assert_string_equal(world_member("a")->why, "it takes too long");
}

static void test_slots_come_one_by_one_behind_a_failure(void **state)
{
    (void)state;
    w.conf->balancer.slow_start_ms = 200;
    w.hosts[0].ps = STATUS("500 Oh");
    world_backend("a", "127.0.0.1")->slots = 4;
    world_begin();
    struct member *m = world_member("a");
    UNTIL(world_is_in("a", BREAKER_DOWN));
    w.hosts[0].ps = NOTHING_LOADED;
    UNTIL(world_is_in("a", BREAKER_CLOSED));
    size_t slots_n = member_slots(m, loop_now_ms(&w.loop));
    assert_int_equal(slots_n, 1);
    for (unsigned changed_n = w.changed_n; slots_n < 4; changed_n = w.changed_n) {
        UNTIL(w.changed_n > changed_n); /* each is told */
        size_t now_n = member_slots(m, loop_now_ms(&w.loop));
        assert_true(now_n >= slots_n);
        slots_n = now_n;
    }
}

static void answered(struct member *m, enum breaker_outcome outcome)
{
    member_answered(m, breaker_begin(&m->breaker, loop_now_ms(&w.loop)), outcome, "status 500");
}

static void test_failed_requests_open_it_and_one_tries_proxy_scenario_33(void **state)
{
    (void)state;
    begin_one();
    struct member *m = world_member("a");
    UNTIL(world_is_in("a", BREAKER_CLOSED) && is_quiet(m));
    for (int i = 0; i < 4; i++)
        answered(m, BREAKER_BAD);
    assert_true(member_is_open(m, loop_now_ms(&w.loop)));
    unsigned late = breaker_begin(&m->breaker, loop_now_ms(&w.loop));
    answered(m, BREAKER_BAD);
    assert_false(member_is_open(m, loop_now_ms(&w.loop)));
    assert_string_equal(m->why, "status 500");
    assert_int_equal(w.failed_n, 1);
    UNTIL(w.told == BREAKER_HALF_OPEN); /* by time alone */
    assert_true(world_is_in("a", BREAKER_HALF_OPEN));
    unsigned era = breaker_begin(&m->breaker, loop_now_ms(&w.loop));
    assert_false(member_is_open(m, loop_now_ms(&w.loop)));
    member_answered(m, late, BREAKER_GOOD, NULL);
    assert_true(world_is_in("a", BREAKER_HALF_OPEN));
    member_answered(m, era, BREAKER_NOTHING, NULL);
    assert_true(member_is_open(m, loop_now_ms(&w.loop)));
    answered(m, BREAKER_GOOD);
    assert_true(world_is_in("a", BREAKER_CLOSED));
}

static void test_a_failed_request_has_it_probed_sooner(void **state)
{
    (void)state;
    w.conf->balancer.probe_interval_ms = 3600 * 1000;
    begin_one();
    struct member *m = world_member("a");
    UNTIL(world_is_in("a", BREAKER_CLOSED) && is_quiet(m));
    answered(m, BREAKER_BAD);
    UNTIL(w.hosts[0].ps_n == 2);
}

static void lists_are(const char *tags, const char *ps)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(members_write_tags(w.members, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), tags);
    buf_release(&out);
    assert_int_equal(members_write_ps(w.members, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), ps);
    buf_fini(&out);
}

static void test_lists_are_one_list_with_each_name_once(void **state)
{
    (void)state;
    char *only[] = {(char[]){"c*"}, (char[]){"d"}};
    w.hosts[0] = (struct world_host){.ps = ANSWER("{\"models\":[{\"name\":\"a\",\"size_vram\":1}]}"), .tags = ANSWER("{\"models\":[" MODEL("a:latest") "," MODEL("b") "]}")};
    w.hosts[1] = (struct world_host){.ps = ANSWER("{\"models\":[{\"name\":\"a\",\"size_vram\":2}]}"), .tags = ANSWER("{\"models\":[" MODEL("A") "," MODEL("\\u0063c") "," MODEL("d") "]}")};
    w.hosts[2] = (struct world_host){.ps = NOTHING_LOADED, .tags = ANSWER("{\"models\":[" MODEL("c2") "," MODEL("e") "," MODEL("b") "," MODEL("d") "]}")};
    world_backend("first", "127.0.0.1");
    world_backend("second", "127.0.0.2");
    struct conf_backend *third = world_backend("third", "127.0.0.3");
    third->models = (struct list){only, 2};
    world_begin();
    lists_are("{\"models\":[]}", "{\"models\":[]}");
    UNTIL(world_is_in("first", BREAKER_CLOSED) && world_is_in("second", BREAKER_CLOSED) && world_is_in("third", BREAKER_CLOSED));
    UNTIL(world_member("first")->is_listed && world_member("second")->is_listed && world_member("third")->is_listed);
    lists_are("{\"models\":[" MODEL("a:latest") "," MODEL("b") "," MODEL("\\u0063c") "," MODEL("d") "," MODEL("c2") "]}",
              "{\"models\":[{\"name\":\"a\",\"size_vram\":1},{\"name\":\"a\",\"size_vram\":2}]}");
    int64_t now_ms = loop_now_ms(&w.loop);
    assert_int_equal(member_has(world_member("third"), "c9", now_ms), INSTALLED_YES); /* its owner's word */
    assert_int_equal(member_has(world_member("third"), "e", now_ms), INSTALLED_NO);
    w.hosts[0].ps = STATUS("500 Oh");
    UNTIL(world_is_in("first", BREAKER_DOWN));
    lists_are("{\"models\":[" MODEL("a:latest") "," MODEL("b") "," MODEL("\\u0063c") "," MODEL("d") "," MODEL("c2") "]}",
              "{\"models\":[{\"name\":\"a\",\"size_vram\":2}]}");
}

static void test_a_list_is_asked_for_again_once_a_second_at_most(void **state)
{
    (void)state;
    begin_one();
    struct member *m = world_member("a");
    UNTIL(m->is_listed && is_quiet(m) && world_is_in("a", BREAKER_CLOSED));
    assert_int_equal(w.hosts[0].tags_n, 1);
    assert_int_equal(members_refresh(w.members, 0), 1); /* as fresh as can be */
    int64_t asked_ms = m->list_asked_ms;
    UNTIL(loop_now_ms(&w.loop) >= asked_ms + 1000);
    assert_int_equal(w.hosts[0].tags_n, 1);
    unsigned changed_n = w.changed_n;
    assert_int_equal(members_refresh(w.members, 0), 0);
    UNTIL(w.changed_n > changed_n);
    assert_int_equal(w.hosts[0].tags_n, 2);
    assert_int_equal(members_refresh(w.members, 0), 1);
}

static void test_the_last_list_counts_where_there_is_no_other(void **state)
{
    enum { LATER_MS = 60000 };
    (void)state;
    w.hosts[0].tags = ANSWER("{\"models\":[" MODEL("m") "]}");
    begin_one();
    struct member *m = world_member("a");
    UNTIL(m->is_listed && is_quiet(m) && world_is_in("a", BREAKER_CLOSED));
    int64_t later_ms = loop_now_ms(&w.loop) + LATER_MS;
    assert_int_equal(member_has(m, "m", later_ms), INSTALLED_YES);
    assert_int_equal(member_has(m, "n", later_ms), INSTALLED_UNKNOWN); /* somebody may have pulled it */
    w.hosts[0].tags = STATUS("500 Oh");
    UNTIL(loop_now_ms(&w.loop) >= m->list_asked_ms + 1000);
    assert_int_equal(members_refresh(w.members, 0), 0);
    assert_int_equal(member_has(m, "n", later_ms), INSTALLED_UNKNOWN);
    UNTIL(!m->is_listing);
    assert_int_equal(member_has(m, "n", later_ms), INSTALLED_NO);
    assert_int_equal(member_has(m, "m", later_ms), INSTALLED_YES);
    m->listed_ms = m->list_asked_ms; /* as if it had told */
    assert_int_equal(member_has(m, "n", later_ms), INSTALLED_UNKNOWN);
    w.hosts[0].ps = STATUS("500 Oh");
    UNTIL(world_is_in("a", BREAKER_DOWN));
    assert_int_equal(member_has(m, "n", later_ms), INSTALLED_NO);
    assert_int_equal(member_has(m, "m", later_ms), INSTALLED_YES);
}

static void test_drained_it_gets_nothing_new(void **state)
{
    (void)state;
    begin_one();
    struct member *m = world_member("a");
    UNTIL(world_is_in("a", BREAKER_CLOSED) && is_quiet(m));
    unsigned changed_n = w.changed_n;
    assert_int_equal(members_drain(w.members, "b", 1, 1), -ENOENT);
    assert_int_equal(members_drain(w.members, "a", 1, 1), 0);
    assert_false(member_is_open(m, loop_now_ms(&w.loop)));
    UNTIL(w.changed_n > changed_n);
    changed_n = w.changed_n;
    assert_int_equal(members_drain(w.members, "a", 1, 1), 0); /* as it was: nothing is told */
    assert_int_equal(loop_turn(&w.loop, 0), 0);
    assert_int_equal(w.changed_n, changed_n);
    assert_int_equal(members_drain(w.members, "a", 1, 0), 0);
    assert_true(member_is_open(m, loop_now_ms(&w.loop)));
    UNTIL(w.changed_n > changed_n);
}

static void test_what_is_told_of_them(void **state)
{
    static const struct balance_rules rules = {.ageing_ms = 1000};
    struct balance *b = balance_new(&rules, &w.waiting);
    struct fleet_facts facts;
    (void)state;
    assert_non_null(b);
    w.hosts[0].tags = ANSWER("{\"models\":[" MODEL("m") "," MODEL("n") "]}");
    w.hosts[1].ps = STATUS("500 Oh");
    world_backend("a", "127.0.0.1")->slots = 3;
    world_backend("b", "127.0.0.2");
    world_backend("c", "127.0.0.3");
    world_begin();
    members_gather(w.members, b, &facts);
    assert_int_equal(facts.members_n, 3);
    assert_string_equal(facts.members[0].state, "unknown");
    assert_int_equal(facts.members[0].is_asked, 0);
    UNTIL(world_is_in("a", BREAKER_CLOSED) && world_is_in("b", BREAKER_DOWN) && world_is_in("c", BREAKER_CLOSED) && world_member("a")->is_listed);
    assert_int_equal(members_drain(w.members, "c", 1, 1), 0);
    members_gather(w.members, b, &facts);
    const struct fleet_fact *m = facts.members;
    assert_true(m[0].is_up && m[0].is_asked && !m[0].is_drained && m[0].slots_n == 3 && m[0].models_n == 2 && m[0].used_n == 0);
    assert_string_equal(m[0].name, "a");
    assert_string_equal(m[1].state, "down");
    assert_string_equal(m[1].why, "GET /api/ps: status 500");
    assert_true(!m[1].is_up && m[1].is_asked);
    assert_true(!m[2].is_up && m[2].is_drained);
    assert_int_equal(facts.waiting_n, 0);
    balance_free(&b);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_one_that_is_well_is_probed_and_listed),
        TEST(test_a_key_and_a_path_are_its_own),
        TEST(test_whatever_is_wrong_becomes_a_sentence),
        TEST(test_a_list_that_is_none_is_told_and_asked_for_again),
        TEST(test_it_falls_and_rises),
        TEST(test_a_refused_connection_is_a_bad_probe),
        TEST(test_one_that_hangs_is_down_when_its_time_is_up),
        TEST(test_slots_come_one_by_one_behind_a_failure),
        TEST(test_failed_requests_open_it_and_one_tries_proxy_scenario_33),
        TEST(test_a_failed_request_has_it_probed_sooner),
        TEST(test_lists_are_one_list_with_each_name_once),
        TEST(test_a_list_is_asked_for_again_once_a_second_at_most),
        TEST(test_the_last_list_counts_where_there_is_no_other),
        TEST(test_drained_it_gets_nothing_new),
        TEST(test_what_is_told_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
