/* proxy/observe: a request is counted once, when it ends, for its path, its model and what became of it; and what is remembered is bounded. */
#include "proxy/observe/observe.h"

#include "proxy/route.h"
#include "tests/unit/request_of.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW_MS = 100000000, REALTIME_MS = 7 };

static const struct route *route_of(enum method method, const char *path)
{
    const struct route *r;
    assert_int_equal(route_find(method, path, strlen(path), &r), ROUTE_FOUND);
    return r;
}

static struct observe *new_observe(void)
{
    struct observe *o = calloc(1, sizeof *o);
    assert_non_null(o);
    observe_init(o, NOW_MS);
    return o;
}

static void free_observe(struct observe *o)
{
    observe_fini(o);
    free(o);
}

/* A stream of an Ollama's, that began NOW_MS and took two seconds, of which the tokens took one. */
static struct access answered(const char *model)
{
    struct access a;
    access_init(&a, "10.0.0.1", NOW_MS);
    snprintf(a.id, sizeof a.id, "some-id");
    snprintf(a.model, sizeof a.model, "%s", model);
    a.route = route_of(METHOD_POST, "/api/chat");
    a.status = 200;
    a.is_stream = 1;
    a.first_byte_ms = NOW_MS + 400;
    a.queue_ms = 120;
    a.in_bytes = 300;
    a.facts.is_done = 1;
    a.facts.prompt_tokens_n = 10;
    a.facts.tokens_n = 50;
    a.facts.eval_ns = 1000000000;
    return a;
}

static void end(struct observe *o, const struct access *a)
{
    struct message m = request_of("", "");
    observe_end(o, a, &m, a->began_ms + 2000, REALTIME_MS, 5000);
    message_fini(&m);
}

static uint64_t count_of(struct observe *o, const char *model, const char *path, enum outcome outcome)
{
    return counts_model(&o->counts, model, 0)->requests[counts_route(route_of(METHOD_POST, path))][outcome];
}

static void test_an_answer_is_counted_once(void **state)
{
    (void)state;
    struct observe *o = new_observe();
    struct access a = answered("llama");
    end(o, &a);
    const struct model_counts *m = counts_model(&o->counts, "llama", 0);
    assert_string_equal(m->name, "llama");
    assert_int_equal(count_of(o, "llama", "/api/chat", OUTCOME_OK), 1);
    assert_int_equal(m->prompt_tokens_n, 10);
    assert_int_equal(m->output_tokens_n, 50);
    assert_int_equal(m->first_token.sum, 400);
    assert_int_equal(m->token.sum, 20000); /* us */
    assert_int_equal(m->load.n, 0);        /* it waited for none */
    assert_int_equal(o->counts.queue.sum, 120);
    assert_int_equal(o->counts.wait.n, 1);
    assert_int_equal(o->counts.counters[COUNT_RECEIVED_BYTES], 300);
    assert_int_equal(o->counts.counters[COUNT_SENT_BYTES], 5000);
    const struct ended *e = recent_ended(&o->recent, 0);
    assert_non_null(e);
    assert_string_equal(ended_text(e, ENDED_ID), "some-id");
    assert_string_equal(ended_text(e, ENDED_MODEL), "llama");
    assert_string_equal(ended_text(e, ENDED_KEY), "");
    assert_int_equal(e->total_ms, 2000);
    assert_true(e->tokens_per_s == 50.0);
    assert_null(recent_ended(&o->recent, 1));
    free_observe(o);
}

/* Without Ollama's own clock a stream's is the client's: from its first byte to its end. */
static void test_tokens_are_timed_by_the_stream_where_nothing_else_is_known(void **state)
{
    (void)state;
    struct observe *o = new_observe();
    struct access a = answered("gpt");
    a.facts.eval_ns = -1;
    end(o, &a);
    assert_int_equal(counts_model(&o->counts, "gpt", 0)->token.sum, 1600000 / 50);
    a.is_stream = 0; /* of one object nobody knows when its tokens came */
    end(o, &a);
    assert_int_equal(counts_model(&o->counts, "gpt", 0)->token.n, 1);
    assert_int_equal(counts_model(&o->counts, "gpt", 0)->first_token.n, 1);
    free_observe(o);
}

static void test_what_became_of_it(void **state)
{
    static const struct {
        enum access_end ended;
        int status;
        enum outcome outcome;
        int is_error;
    } cases[] = {
        {ACCESS_DONE, 200, OUTCOME_OK, 0},
        {ACCESS_DONE, 404, OUTCOME_REFUSED, 1},
        {ACCESS_DONE, 500, OUTCOME_BACKEND_ERROR, 1},
        {ACCESS_REFUSED, 503, OUTCOME_REFUSED, 1},
        {ACCESS_TIMEOUT, 503, OUTCOME_TIMEOUT, 1},
        {ACCESS_CANCELLED, 200, OUTCOME_CANCELLED, 0},
        {ACCESS_CLIENT_GONE, 200, OUTCOME_CLIENT_GONE, 0},
        {ACCESS_CLIENT_STALLED, 200, OUTCOME_CLIENT_GONE, 0},
        {ACCESS_BACKEND_UNREACHABLE, 502, OUTCOME_BACKEND_ERROR, 1},
        {ACCESS_BACKEND_BROKEN, 200, OUTCOME_BACKEND_ERROR, 1},
        {ACCESS_BACKEND_UNFINISHED, 200, OUTCOME_BACKEND_ERROR, 1},
        {ACCESS_BACKEND_ERROR, 200, OUTCOME_BACKEND_ERROR, 1},
        {ACCESS_DRAINED, 503, OUTCOME_FAILED, 1},
        {ACCESS_FAILED, 0, OUTCOME_FAILED, 1},
    };
    (void)state;
    _Static_assert(sizeof cases / sizeof *cases == ACCESS_END_COUNT + 2, "each end is tried");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct observe *o = new_observe();
        struct access a = answered("m");
        a.ended = cases[i].ended;
        a.status = cases[i].status;
        end(o, &a);
        assert_int_equal(count_of(o, "m", "/api/chat", cases[i].outcome), 1);
        assert_int_equal(o->recent.errors_n, cases[i].is_error);
        assert_int_equal(series_now(&o->series, NOW_MS + 2000)->errors_n, cases[i].is_error);
        free_observe(o);
    }
}

/* Whatever a client calls a model: a name gets a count of its own by an answer, and there are so many at the most. */
static void test_names_of_models_are_bounded(void **state)
{
    (void)state;
    struct observe *o = new_observe();
    for (int i = 0; i < 2 * COUNTS_MODELS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%d", i / 2);
        struct access a = answered(name);
        if (i % 2 == 0) { /* it is not there at first */
            a.ended = ACCESS_REFUSED;
            a.status = 404;
            a.facts.is_done = 0;
        }
        end(o, &a);
    }
    struct access one_more = answered("one more");
    end(o, &one_more);
    assert_int_equal(o->counts.models_n, COUNTS_MODELS_MAX);
    assert_int_equal(count_of(o, "m31", "/api/chat", OUTCOME_OK), 1);
    assert_int_equal(count_of(o, "one more", "/api/chat", OUTCOME_OK), 1); /* as all others: */
    assert_int_equal(count_of(o, "whatever", "/api/chat", OUTCOME_OK), 1);
    assert_int_equal(count_of(o, "whatever", "/api/chat", OUTCOME_REFUSED), COUNTS_MODELS_MAX);
    free_observe(o);
}

static void test_a_model_may_be_called_other(void **state)
{
    (void)state;
    struct observe *o = new_observe();
    struct access a = answered("other");
    end(o, &a);
    assert_int_equal(o->counts.models_n, 0); /* no label is told twice */
    assert_int_equal(count_of(o, "other", "/api/chat", OUTCOME_OK), 1);
    free_observe(o);
}

/* Reads of UIs come every few seconds, and who asks for /health each second knows the answer. */
static void test_what_only_reads_is_remembered_where_it_fails(void **state)
{
    (void)state;
    struct observe *o = new_observe();
    struct access a = answered("");
    a.route = route_of(METHOD_GET, "/api/tags");
    end(o, &a);
    assert_null(recent_ended(&o->recent, 0));
    assert_int_equal(series_now(&o->series, NOW_MS + 2000)->requests_n, 0);
    a.route = route_of(METHOD_GET, "/health");
    a.status = 503;
    end(o, &a);
    assert_null(recent_ended(&o->recent, 0));
    assert_int_equal(o->counts.none.requests[counts_route(a.route)][OUTCOME_FAILED], 1);
    a.route = NULL; /* a path that there is not */
    a.status = 404;
    a.ended = ACCESS_REFUSED;
    end(o, &a);
    assert_non_null(recent_ended(&o->recent, 0));
    free_observe(o);
}

static void test_tokens_of_an_answer_that_is_shared_count_once(void **state)
{
    (void)state;
    struct observe *o = new_observe();
    struct access a = answered("m");
    observe_tokens(o, "m", &a.facts, NOW_MS, NOW_MS + 2000); /* who made it */
    a.is_made_inside = 1;
    end(o, &a);
    end(o, &a);
    assert_int_equal(counts_model(&o->counts, "m", 0)->output_tokens_n, 50);
    assert_int_equal(count_of(o, "m", "/api/chat", OUTCOME_OK), 2);
    free_observe(o);
}

static void test_errors_tell_what_to_do(void **state)
{
    (void)state;
    struct observe *o = new_observe();
    struct access a = answered("m");
    char text[] = "too many requests are waiting ([proxy] max_queue)";
    a.ended = ACCESS_REFUSED;
    a.status = 503;
    a.code = "queue_full";
    a.error = text;
    end(o, &a);
    end(o, &a);
    assert_int_equal(o->recent.errors_n, 1); /* the same words are one error */
    const struct error_note *e = &o->recent.errors[0];
    assert_string_equal(e->what, text);
    assert_int_equal(e->times_n, 2);
    assert_int_equal(e->from, ERROR_OF_REQUEST);
    assert_string_equal(e->id, "some-id");
    assert_non_null(strstr(e->what_to_do, "max_queue"));
    assert_string_equal(ended_text(recent_ended(&o->recent, 0), ENDED_ERROR), text);
    a.error = NULL; /* the backend's own words passed by */
    a.code = NULL;
    a.status = 404;
    end(o, &a);
    assert_string_equal(o->recent.errors[0].what, "a request was answered with status 404");
    free_observe(o);
}

static void test_what_never_ends_by_itself_is_not_timed(void **state)
{
    (void)state;
    struct observe *o = new_observe();
    struct access a = answered("");
    static const char *const endless[] = {"/sidecar/events", "/sidecar/logs"};
    for (size_t i = 0; i < 2; i++) {
        a.route = route_of(METHOD_GET, endless[i]);
        end(o, &a);
        assert_int_equal(o->counts.requests[counts_route(a.route)].n, 0);
        assert_int_equal(o->counts.none.requests[counts_route(a.route)][OUTCOME_OK], 1);
    }
    a.route = route_of(METHOD_GET, "/sidecar/status");
    end(o, &a);
    assert_int_equal(o->counts.requests[counts_route(a.route)].n, 1);
    free_observe(o);
}

static void test_there_is_room_for_each_route(void **state)
{
    size_t n;
    (void)state;
    (void)route_table(&n);
    assert_true(n < COUNTS_ROUTES_MAX);
    assert_int_equal(counts_route(NULL), n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_answer_is_counted_once),
        cmocka_unit_test(test_tokens_are_timed_by_the_stream_where_nothing_else_is_known),
        cmocka_unit_test(test_what_became_of_it),
        cmocka_unit_test(test_names_of_models_are_bounded),
        cmocka_unit_test(test_a_model_may_be_called_other),
        cmocka_unit_test(test_what_only_reads_is_remembered_where_it_fails),
        cmocka_unit_test(test_tokens_of_an_answer_that_is_shared_count_once),
        cmocka_unit_test(test_errors_tell_what_to_do),
        cmocka_unit_test(test_what_never_ends_by_itself_is_not_timed),
        cmocka_unit_test(test_there_is_room_for_each_route),
    };
    return cmocka_run_group_tests_name("proxy/observe", tests, NULL, NULL);
}
