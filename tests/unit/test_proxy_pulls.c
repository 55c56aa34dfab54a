/* proxy/pulls: which of its models a request gets, who waits while one is pulled, and what becomes of pulls that fail. */
#include "proxy/pulls.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { CLIENTS = 4, RETRIES = 2 };

/* A backend that is played by the tests, and clients that remember how often they were told. */
struct client {
    struct pulls_ticket ticket;
    int told_n;
};

static struct world {
    struct waiting waiting;
    struct pulls pulls;
    struct client clients[CLIENTS];
    int64_t now_ms;
    int lists_n, afresh_n, begun_n, ended_n, under_way_n, lost_n, has_no_memory, is_away;
    const char *awaited;
    struct pulls_row *last;
} w;

static char one[] = "one", two[] = "two:7b", three[] = "three";
static char *const both[] = {one, two};
static const struct pulls_want want_one = {.models = both, .models_n = 1, .may_pull = 1};
static const struct pulls_want want_both = {.models = both, .models_n = 2, .preset = "vision", .may_pull = 1};
static const struct pulls_want may_not = {.models = both, .models_n = 2, .preset = "vision"};

static int on_begin(void *context, struct pulls_row *row)
{
    (void)context;
    if (w.has_no_memory)
        return -ENOMEM;
    w.begun_n++;
    w.last = row;
    row->pulling = &w;
    return 0;
}

static void on_end(void *context, struct pulls_row *row)
{
    (void)context;
    w.ended_n += row->pulling != NULL;
    row->pulling = NULL;
}

static void on_list(void *context, int is_afresh)
{
    (void)context;
    w.lists_n++;
    w.afresh_n += is_afresh;
}

static int is_ready(void *context)
{
    (void)context;
    return !w.is_away;
}

static int is_awaited(void *context, const char *model)
{
    (void)context;
    return w.awaited && strcmp(w.awaited, model) == 0;
}

static void on_count(void *context, int is_begun)
{
    (void)context;
    w.under_way_n += is_begun ? 1 : -1;
}

static void on_lost(void *context, const struct pulls_row *row)
{
    (void)context, w.lost_n += *row->reason != '\0';
}

static void on_told(void *context)
{
    struct client *client = context;
    client->told_n++;
}

static int begin(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    w.waiting.limit_n = CLIENTS;
    w.now_ms = 1000;
    pulls_init(&w.pulls, &w.waiting, RETRIES, &(struct pulls_ops){on_begin, on_end, on_list, is_ready, is_awaited, on_count, on_lost, NULL});
    for (int i = 0; i < CLIENTS; i++)
        w.clients[i].ticket = (struct pulls_ticket){.fn = on_told, .context = &w.clients[i]};
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        pulls_leave(&w.pulls, &w.clients[i].ticket);
    assert_int_equal(w.waiting.now_n, 0);
    assert_int_equal(w.under_way_n, pulls_under_way_n(&w.pulls));
    pulls_fini(&w.pulls);
    return 0;
}

static enum pulls_verdict look(int client, const struct pulls_want *want, size_t *nth)
{
    return pulls_look(&w.pulls, &w.clients[client].ticket, want, w.now_ms, nth);
}

/* The backend has just these. */
static void list(const char *json)
{
    assert_int_equal(installed_read(&w.pulls.installed, json, strlen(json), w.now_ms), 0);
    pulls_listed(&w.pulls, 1, w.now_ms);
}

static const char none[] = "{\"models\":[]}", has_one[] = "{\"models\":[{\"name\":\"one:latest\"}]}", has_two[] = "{\"models\":[{\"name\":\"two:7b\"}]}";

static void tried(enum failure kind)
{
    pulls_tried(&w.pulls, w.last, kind, "", 0, 0, w.now_ms);
}

static void assert_told(int client, int n)
{
    assert_int_equal(w.clients[client].told_n, n);
}

/* Client 0 waits for `one`, which is being pulled. */
static void begin_one(const struct pulls_want *want)
{
    size_t nth;
    assert_int_equal(look(0, want, &nth), PULLS_WAIT);
    list(none);
    assert_int_equal(look(0, want, &nth), PULLS_WAIT);
    assert_string_equal(w.last->model, "one");
}

static void test_what_is_known_to_be_there_is_not_asked_for(void **state)
{
    (void)state;
    size_t nth = 9;
    assert_int_equal(look(0, &want_one, &nth), PULLS_WAIT);
    assert_int_equal(look(1, &want_one, &nth), PULLS_WAIT);
    list(has_one);
    assert_told(0, 1);
    assert_told(1, 1);
    int lists_n = w.lists_n;
    for (int i = 0; i < 5; i++, w.now_ms += 10 * INSTALLED_FRESH_MS)
        assert_int_equal(look(0, &want_both, &nth), PULLS_GO);
    assert_int_equal(nth, 0);
    assert_int_equal(w.lists_n, lists_n);
    assert_int_equal(w.begun_n, 0);
}

static void test_the_first_that_is_there_and_a_look_for_a_better_one_beside(void **state)
{
    (void)state;
    size_t nth;
    list(has_two);
    assert_int_equal(look(0, &want_both, &nth), PULLS_GO);
    assert_int_equal(nth, 1);
    assert_int_equal(w.lists_n, 0);
    w.now_ms += INSTALLED_FRESH_MS;
    assert_int_equal(look(0, &want_both, &nth), PULLS_GO);
    assert_int_equal(nth, 1);
    assert_int_equal(w.lists_n, 1);
    list(has_one);
    assert_int_equal(look(0, &want_both, &nth), PULLS_GO);
    assert_int_equal(nth, 0);
}

static void test_where_there_is_no_list_the_backend_is_to_say_it(void **state)
{
    (void)state;
    size_t nth = 9;
    assert_int_equal(look(0, &want_both, &nth), PULLS_WAIT);
    pulls_listed(&w.pulls, 0, w.now_ms);
    assert_told(0, 1);
    assert_int_equal(look(0, &want_both, &nth), PULLS_GO);
    assert_int_equal(nth, 0);
    w.now_ms += PULLS_AFRESH_MS;
    assert_int_equal(look(0, &want_both, &nth), PULLS_WAIT);
    assert_int_equal(w.lists_n, 2);
}

static void test_a_pull_is_shared_and_its_list_has_the_last_word(void **state)
{
    (void)state;
    size_t nth;
    begin_one(&want_one);
    assert_int_equal(look(1, &want_one, &nth), PULLS_WAIT);
    pulls_progress(&w.pulls, w.last, 50, 100, w.now_ms);
    assert_int_equal(w.last->completed_bytes, 50);
    pulls_progress(&w.pulls, w.last, UINT64_MAX / 2, 1, w.now_ms); /* a part came before its size was told */
    assert_int_equal(w.last->told_percent, 100);
    int lists_n = w.lists_n;
    tried(FAILURE_NONE);
    assert_int_equal(w.lists_n, lists_n + 1);
    assert_int_equal(w.afresh_n, 1); /* one from before it was there says nothing; those who only ask share one */
    assert_told(1, 0);
    list(has_one);
    assert_told(0, 2);
    assert_told(1, 1);
    assert_int_equal(w.begun_n, 1);
    assert_int_equal(w.ended_n, 1);
    assert_int_equal(w.under_way_n, 0);
    assert_int_equal(look(0, &want_one, &nth), PULLS_GO);
}

static void test_a_success_that_is_not_listed_is_none(void **state)
{
    (void)state;
    size_t nth;
    struct pulls_told told;
    begin_one(&want_one);
    tried(FAILURE_NONE);
    list(none);
    assert_int_equal(look(0, &want_one, &nth), PULLS_NONE);
    pulls_tell(&w.pulls, &want_one, w.now_ms, &told);
    assert_int_equal(told.status, 502);
    assert_non_null(strstr(told.text, "the model is not listed"));
}

static void test_who_leaves_does_not_end_it(void **state)
{
    (void)state;
    begin_one(&want_one);
    pulls_leave(&w.pulls, &w.clients[0].ticket);
    assert_int_equal(w.waiting.now_n, 0);
    assert_int_equal(w.under_way_n, 1);
    tried(FAILURE_NONE);
    list(has_one);
    assert_told(0, 1);
    assert_int_equal(w.under_way_n, 0);
}

static void test_the_next_candidate_where_the_registry_has_the_first_not(void **state)
{
    (void)state;
    size_t nth;
    struct pulls_told told;
    begin_one(&want_both);
    tried(FAILURE_UNKNOWN_MODEL);
    assert_int_equal(look(0, &want_both, &nth), PULLS_WAIT);
    assert_string_equal(w.last->model, "two:7b");
    tried(FAILURE_DISK_FULL);
    assert_int_equal(look(0, &want_both, &nth), PULLS_NONE);
    pulls_tell(&w.pulls, &want_both, w.now_ms, &told);
    assert_int_equal(told.status, 503);
    assert_int_equal(told.retry_ms, PULLS_REST_FIRST_MS);
    static const char *const words[] = {"'one', 'two:7b' of preset 'vision'", "one: the registry has no such model", "two:7b: the disk is full", "`ollama pull one`"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_non_null(strstr(told.text, words[i]));
    list(has_two); /* by hand, meanwhile */
    assert_int_equal(look(0, &want_both, &nth), PULLS_GO);
    assert_int_equal(nth, 1);
}

static void test_one_that_has_failed_rests_longer_each_time(void **state)
{
    (void)state;
    static const int64_t rests_ms[] = {10000, 30000, 90000, 270000, 300000, 300000};
    size_t nth;
    begin_one(&want_one);
    for (size_t i = 0; i < sizeof rests_ms / sizeof *rests_ms; i++) {
        tried(FAILURE_UNKNOWN_MODEL);
        int begun_n = w.begun_n;
        w.now_ms += rests_ms[i] - 1;
        assert_int_equal(installed_read(&w.pulls.installed, none, strlen(none), w.now_ms), 0);
        assert_int_equal(look(0, &want_one, &nth), PULLS_NONE);
        assert_int_equal(w.begun_n, begun_n);
        w.now_ms++;
        assert_int_equal(look(0, &want_one, &nth), PULLS_WAIT);
        assert_int_equal(w.begun_n, begun_n + 1);
    }
    tried(FAILURE_UNKNOWN_MODEL);
    pulls_models_changed(&w.pulls);
    assert_int_equal(look(0, &want_one, &nth), PULLS_WAIT);
    list(none);
    assert_int_equal(look(0, &want_one, &nth), PULLS_WAIT);
}

static void test_a_try_that_fails_for_a_while_is_tried_again_so_often(void **state)
{
    (void)state;
    size_t nth;
    begin_one(&want_one);
    for (int i = 0; i < RETRIES; i++) {
        tried(FAILURE_NETWORK);
        assert_told(0, 1);
        assert_int_equal(w.last->state, PULLS_PAUSED);
        int64_t next_ms = pulls_next_ms(&w.pulls);
        assert_true(next_ms > w.now_ms);
        pulls_time(&w.pulls, next_ms - 1);
        assert_int_equal(w.last->state, PULLS_PAUSED);
        w.now_ms = next_ms;
        pulls_time(&w.pulls, w.now_ms);
        assert_int_equal(w.last->state, PULLS_RUNNING);
        assert_int_equal(w.begun_n, i + 2);
    }
    tried(FAILURE_NETWORK);
    assert_told(0, 2);
    assert_int_equal(look(0, &want_one, &nth), PULLS_NONE);
    assert_int_equal(pulls_next_ms(&w.pulls), -1);
}

static void test_a_backend_that_goes_sends_all_to_the_gate_and_it_is_pulled_on(void **state)
{
    (void)state;
    size_t nth;
    begin_one(&want_one);
    w.is_away = 1;
    tried(FAILURE_GONE);
    assert_told(0, 1);
    w.now_ms = pulls_next_ms(&w.pulls);
    pulls_time(&w.pulls, w.now_ms);
    assert_told(0, 2);
    assert_int_equal(w.last->state, PULLS_LOST);
    assert_int_equal(w.under_way_n, 0);
    assert_int_equal(pulls_kept_n(&w.pulls), 1);
    w.is_away = 0;
    assert_int_equal(look(0, &want_one, &nth), PULLS_WAIT);
    assert_int_equal(w.last->state, PULLS_RUNNING);
    assert_int_equal(w.last->retry.lost_n, 1);
    assert_int_equal(w.begun_n, 2);
}

static void test_the_losses_of_one_model_are_bounded(void **state)
{
    (void)state;
    begin_one(&want_one);
    for (int i = 0; i < RETRY_LOSSES_FREE + RETRIES + 1; i++) {
        assert_int_equal(w.last->state, PULLS_RUNNING);
        tried(FAILURE_GONE);
        if (w.last->state == PULLS_PAUSED) {
            w.now_ms = pulls_next_ms(&w.pulls);
            pulls_time(&w.pulls, w.now_ms);
        }
    }
    assert_true(w.last->state == PULLS_RESTS && w.lost_n == 1); /* told once, and not for each try */
}

static void test_what_the_preloader_pulls_is_waited_for_at_the_gate(void **state)
{
    (void)state;
    size_t nth;
    list(none);
    w.awaited = one;
    assert_int_equal(look(0, &want_both, &nth), PULLS_AT_GATE);
    assert_int_equal(nth, 0);
    w.awaited = two;
    assert_int_equal(look(0, &want_both, &nth), PULLS_WAIT);
    assert_string_equal(w.last->model, "one");
    tried(FAILURE_UNKNOWN_MODEL);
    assert_int_equal(look(0, &want_both, &nth), PULLS_AT_GATE);
    assert_int_equal(nth, 1);
    assert_int_equal(w.begun_n, 1);
}

static void test_where_nothing_may_be_pulled_it_says_how(void **state)
{
    (void)state;
    size_t nth;
    struct pulls_told told;
    list(none);
    assert_int_equal(look(0, &may_not, &nth), PULLS_NONE);
    pulls_tell(&w.pulls, &may_not, w.now_ms, &told);
    assert_int_equal(told.status, 404);
    assert_string_equal(told.text, "none of the models 'one', 'two:7b' of preset 'vision' is installed, and [proxy] pull_missing = no: `ollama pull one` gets it");
    assert_int_equal(w.begun_n, 0);
}

static void test_no_more_wait_than_may(void **state)
{
    (void)state;
    size_t nth;
    w.waiting.limit_n = 1;
    assert_int_equal(look(0, &want_one, &nth), PULLS_WAIT);
    assert_int_equal(look(1, &want_one, &nth), PULLS_FULL);
    w.clients[2].ticket.is_accepted = 1;
    assert_int_equal(look(2, &want_one, &nth), PULLS_WAIT);
    assert_int_equal(w.waiting.now_n, 2);
}

static void test_so_many_at_once_and_those_that_nobody_waits_for_are_not_begun(void **state)
{
    (void)state;
    static char *const third[] = {three};
    static const struct pulls_want want_two = {.models = both + 1, .models_n = 1, .may_pull = 1};
    static const struct pulls_want want_three = {.models = third, .models_n = 1, .may_pull = 1};
    size_t nth;
    begin_one(&want_one);
    struct pulls_row *first = w.last;
    assert_int_equal(look(1, &want_two, &nth), PULLS_WAIT);
    assert_int_equal(look(2, &want_three, &nth), PULLS_WAIT);
    assert_int_equal(w.begun_n, PULLS_AT_ONCE);
    assert_int_equal(pulls_under_way_n(&w.pulls), 3);
    pulls_leave(&w.pulls, &w.clients[2].ticket);
    w.last = first;
    tried(FAILURE_UNKNOWN_MODEL);
    assert_int_equal(w.begun_n, PULLS_AT_ONCE);
    assert_int_equal(pulls_under_way_n(&w.pulls), 1);
    assert_int_equal(look(2, &want_three, &nth), PULLS_WAIT);
    assert_int_equal(w.begun_n, PULLS_AT_ONCE + 1);
}

static void test_more_models_than_places(void **state)
{
    (void)state;
    size_t nth;
    char name[16];
    char *models[] = {name};
    struct pulls_want want = {.models = models, .models_n = 1, .may_pull = 1};
    w.waiting.limit_n = 1000;
    list(none);
    struct client many[PULLS_MODELS + 1];
    for (int i = 0; i <= PULLS_MODELS; i++) {
        many[i] = (struct client){.ticket = {.fn = on_told, .context = &many[i]}};
        snprintf(name, sizeof name, "m%d", i);
        assert_int_equal(pulls_look(&w.pulls, &many[i].ticket, &want, w.now_ms, &nth), i < PULLS_MODELS ? PULLS_WAIT : PULLS_CROWDED);
    }
    tried(FAILURE_UNKNOWN_MODEL); /* one that rests makes room */
    assert_int_equal(pulls_look(&w.pulls, &many[PULLS_MODELS].ticket, &want, w.now_ms, &nth), PULLS_WAIT);
    for (int i = 0; i <= PULLS_MODELS; i++)
        pulls_leave(&w.pulls, &many[i].ticket);
}

static void test_without_memory_it_is_tried_in_a_moment(void **state)
{
    (void)state;
    size_t nth;
    list(none);
    w.has_no_memory = 1;
    assert_int_equal(look(0, &want_one, &nth), PULLS_WAIT);
    assert_int_equal(w.begun_n, 0);
    w.has_no_memory = 0;
    w.now_ms = pulls_next_ms(&w.pulls);
    pulls_time(&w.pulls, w.now_ms);
    assert_int_equal(w.begun_n, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void test_the_list_as_it_is_now(void **state)
{
    (void)state;
    struct pulls_ticket *a = &w.clients[0].ticket, *b = &w.clients[1].ticket;
    w.is_away = 1;
    assert_int_equal(pulls_refresh(&w.pulls, a, 0, w.now_ms), PULLS_NONE);
    w.is_away = 0;
    assert_int_equal(pulls_refresh(&w.pulls, a, 1000, w.now_ms), PULLS_WAIT);
    assert_int_equal(pulls_refresh(&w.pulls, b, 1000, w.now_ms), PULLS_WAIT);
    assert_int_equal(w.waiting.now_n, 2);
    list(has_one);
    assert_told(0, 1);
    assert_told(1, 1);
    w.lists_n = 0;
    assert_int_equal(pulls_refresh(&w.pulls, a, 1000, w.now_ms), PULLS_GO);
    assert_int_equal(pulls_refresh(&w.pulls, b, 1001, w.now_ms), PULLS_WAIT); /* too old for this one */
    pulls_leave(&w.pulls, b);
    assert_int_equal(pulls_refresh(&w.pulls, NULL, 1001, w.now_ms), PULLS_WAIT); /* nobody waits */
    assert_int_equal(w.lists_n, 2);
    w.waiting.limit_n = 0;
    assert_int_equal(pulls_refresh(&w.pulls, &w.clients[2].ticket, 1001, w.now_ms), PULLS_FULL);
    pulls_listed(&w.pulls, 0, w.now_ms);
    assert_int_equal(pulls_refresh(&w.pulls, a, 1001, w.now_ms), PULLS_NONE); /* it can't be had, for a moment */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_what_is_known_to_be_there_is_not_asked_for),
        CASE(test_the_first_that_is_there_and_a_look_for_a_better_one_beside),
        CASE(test_where_there_is_no_list_the_backend_is_to_say_it),
        CASE(test_a_pull_is_shared_and_its_list_has_the_last_word),
        CASE(test_a_success_that_is_not_listed_is_none),
        CASE(test_who_leaves_does_not_end_it),
        CASE(test_the_next_candidate_where_the_registry_has_the_first_not),
        CASE(test_one_that_has_failed_rests_longer_each_time),
        CASE(test_a_try_that_fails_for_a_while_is_tried_again_so_often),
        CASE(test_a_backend_that_goes_sends_all_to_the_gate_and_it_is_pulled_on),
        CASE(test_the_losses_of_one_model_are_bounded),
        CASE(test_what_the_preloader_pulls_is_waited_for_at_the_gate),
        CASE(test_where_nothing_may_be_pulled_it_says_how),
        CASE(test_no_more_wait_than_may),
        CASE(test_so_many_at_once_and_those_that_nobody_waits_for_are_not_begun),
        CASE(test_more_models_than_places),
        CASE(test_without_memory_it_is_tried_in_a_moment),
        CASE(test_the_list_as_it_is_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
