/* proxy/loads: what is known of models, who waits for one, who is told what; time is injected. */
#include "proxy/ask.h"
#include "proxy/loads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ASKERS = 12, NONE = -7 };

struct asker {
    struct load_ticket ticket;
    int told_n;
    enum load_end told;
    int status;
    const char *looks_again; /* for this model, from within */
    int must_fit;
    struct asker *takes_along; /* leaves then */
    enum load_verdict then;
};

static struct loads l;
static struct waiting waiting;
static struct asker askers[ASKERS];
static int order[ASKERS * 2], order_n;
static int64_t now_ms;
static struct load *last;
static struct load_ride ride;

static enum load_verdict look(int i, const char *model, int must_fit)
{
    return loads_look(&l, &askers[i].ticket, model, must_fit, now_ms, &last, &ride);
}

static void on_told(void *context, const struct load_result *result)
{
    struct asker *a = context;
    order[order_n++] = (int)(a - askers);
    a->told_n++;
    a->told = result->end;
    a->status = result->status;
    assert_null(a->ticket.load);
    if (a->takes_along)
        loads_leave(&l, &a->takes_along->ticket);
    if (a->looks_again)
        a->then = look((int)(a - askers), a->looks_again, a->must_fit);
}

static int setup(void **state)
{
    (void)state;
    waiting = (struct waiting){.limit_n = ASKERS};
    loads_init(&l, 300000, &waiting);
    now_ms = 1000;
    order_n = 0;
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.told_n = 0};
        askers[i].ticket = (struct load_ticket){.fn = on_told, .context = &askers[i]};
        askers[i].ticket.wish.keep_alive_ms = ASK_KEEP_UNSAID;
    }
    return 0;
}

static void wants(int i, int num_ctx, int num_gpu)
{
    struct load_wish *w = &askers[i].ticket.wish;
    w->options = (struct load_options){.set = 0};
    if (num_ctx != NONE)
        load_options_set(&w->options, LOAD_NUM_CTX, num_ctx);
    if (num_gpu != NONE)
        load_options_set(&w->options, LOAD_NUM_GPU, num_gpu);
}

/* After so long. */
static void end(struct load *load, enum load_end how, int64_t took_ms)
{
    struct load_result result = {.end = how, .status = 500, .text = "why"};
    now_ms += took_ms;
    loads_end(&l, load, &result, now_ms);
}

/* Asker i loads the model. */
static void load(int i, const char *model)
{
    assert_int_equal(look(i, model, 0), LOAD_BEGIN);
    end(last, LOAD_ENDED_WELL, 500);
    assert_int_equal(askers[i].told, LOAD_ENDED_WELL);
}

/* A request for it is answered, for so long. */
static void answer(int i, const char *model, int64_t took_ms, enum load_answer how)
{
    struct load *row = loads_answer(&l, model, now_ms);
    assert_non_null(row);
    now_ms += took_ms;
    loads_answered(&l, row, &askers[i].ticket.wish, how, now_ms);
}

static void assert_told(const int *who, int n)
{
    assert_int_equal(order_n, n);
    for (int i = 0; i < n; i++)
        assert_int_equal(order[i], who[i]);
}

/* Where nothing is known a load is sent, else not. */
static void assert_known(const char *model, int is_known)
{
    struct asker probe = {.told_n = 0};
    probe.ticket = (struct load_ticket){.fn = on_told, .context = &askers[0]};
    probe.ticket.wish.keep_alive_ms = ASK_KEEP_UNSAID;
    struct loads before = l;
    enum load_verdict verdict = loads_look(&l, &probe.ticket, model, 0, now_ms, &last, &ride);
    assert_int_equal(verdict, is_known ? LOAD_GO : LOAD_BEGIN);
    l = before;
}

static void test_all_who_wait_share_one_load_proxy_scenario_24(void **state)
{
    (void)state;
    assert_int_equal(look(0, "m", 0), LOAD_BEGIN);
    struct load *load = last;
    for (int i = 1; i < 5; i++)
        assert_int_equal(look(i, i % 2 ? "M:latest" : "library/m", 0), LOAD_WAIT);
    assert_int_equal(waiting.now_n, 4); /* the first is at work */
    loads_leave(&l, &askers[0].ticket);
    loads_leave(&l, &askers[0].ticket);
    loads_leave(&l, &askers[2].ticket);
    assert_int_equal(waiting.now_n, 3);
    assert_int_equal(l.loading_n, 1);
    end(load, LOAD_ENDED_WELL, 9000);
    static const int who[] = {1, 3, 4};
    assert_told(who, 3);
    assert_int_equal(waiting.now_n, 0);
    assert_int_equal(l.loading_n, 0);
    assert_int_equal(look(5, "m", 0), LOAD_GO);
}

static void test_a_load_that_nobody_waits_for_is_known_when_it_ends(void **state)
{
    (void)state;
    assert_int_equal(look(0, "m", 0), LOAD_BEGIN);
    loads_leave(&l, &askers[0].ticket);
    end(last, LOAD_ENDED_WELL, 700);
    assert_int_equal(order_n, 0);
    assert_known("m", 1);
}

static void test_names_that_are_none_and_too_many_are_not_known(void **state)
{
    (void)state;
    char name[32];
    assert_int_equal(look(0, "", 0), LOAD_GO);
    assert_int_equal(look(0, "a b", 0), LOAD_GO);
    for (int i = 0; i < LOADS_MODELS; i++) {
        snprintf(name, sizeof name, "m%d", i);
        load(0, name);
        order_n = 0;
    }
    load(0, "one-more"); /* in the place of the longest unused */
    for (int i = 0; i < LOADS_MODELS; i++) {
        snprintf(name, sizeof name, "n%d", i);
        assert_non_null(loads_answer(&l, name, now_ms));
    }
    assert_null(loads_answer(&l, "beyond", now_ms));
    assert_int_equal(look(0, "beyond", 0), LOAD_GO);
}

static void test_max_queue_bounds_those_who_wait(void **state)
{
    (void)state;
    waiting.limit_n = 1;
    assert_int_equal(look(0, "m", 0), LOAD_BEGIN);
    assert_int_equal(look(1, "m", 0), LOAD_WAIT);
    assert_int_equal(look(2, "m", 0), LOAD_FULL);
    askers[3].ticket.is_accepted = 1;
    assert_int_equal(look(3, "m", 0), LOAD_WAIT);
    assert_int_equal(look(4, "other", 0), LOAD_BEGIN);
}

static void test_a_failure_is_told_to_those_who_asked_for_the_same(void **state)
{
    (void)state;
    wants(1, 8192, NONE);
    wants(3, 8192, NONE);
    askers[1].looks_again = askers[3].looks_again = "m";
    assert_int_equal(look(0, "m", 0), LOAD_BEGIN);
    struct load *load = last;
    for (int i = 1; i < 4; i++)
        assert_int_equal(look(i, "m", 0), LOAD_WAIT);
    end(load, LOAD_ENDED_FAILED, 100);
    static const int who[] = {0, 1, 2, 3};
    assert_told(who, 4);
    assert_int_equal(askers[0].told, LOAD_ENDED_FAILED);
    assert_int_equal(askers[0].status, 500);
    assert_int_equal(askers[2].told, LOAD_ENDED_FAILED);
    assert_int_equal(askers[1].told, LOAD_ENDED_WELL);
    assert_int_equal(askers[1].then, LOAD_BEGIN); /* theirs */
    assert_int_equal(askers[3].then, LOAD_WAIT);
    assert_int_equal(waiting.now_n, 1);
    order_n = 0;
    askers[1].looks_again = askers[3].looks_again = NULL;
    end(load, LOAD_ENDED_FAILED, 100);
    static const int others[] = {1, 3};
    assert_told(others, 2);
    assert_int_equal(askers[3].told, LOAD_ENDED_FAILED);
    assert_known("m", 0);
}

static void test_what_is_refused_or_lost_is_told_to_all(void **state)
{
    (void)state;
    static const enum load_end ends[] = {LOAD_ENDED_REFUSED, LOAD_ENDED_LOST, LOAD_ENDED_UNTOLD};
    wants(1, 8192, NONE);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(look(0, "m", 0), LOAD_BEGIN);
        struct load *load = last;
        assert_int_equal(look(1, "m", 0), LOAD_WAIT);
        end(load, ends[i], 1);
        assert_int_equal(askers[0].told, ends[i]);
        assert_int_equal(askers[1].told, ends[i]);
        assert_known("m", 0);
    }
}

static void test_who_leaves_while_others_are_told_is_not_called(void **state)
{
    (void)state;
    askers[0].takes_along = &askers[1];
    askers[2].looks_again = "other";
    assert_int_equal(look(0, "m", 0), LOAD_BEGIN);
    struct load *load = last;
    for (int i = 1; i < 4; i++)
        assert_int_equal(look(i, "m", 0), LOAD_WAIT);
    end(load, LOAD_ENDED_WELL, 1);
    static const int who[] = {0, 2, 3};
    assert_told(who, 3);
    assert_int_equal(askers[2].then, LOAD_BEGIN);
    assert_int_equal(waiting.now_n, 0);
}

static void test_any_options_will_do_until_it_must_fit_proxy_scenario_36(void **state)
{
    (void)state;
    wants(0, 8192, NONE);
    load(0, "m");
    wants(1, NONE, NONE);
    assert_int_equal(look(1, "m", 1), LOAD_GO); /* what names nothing rides */
    assert_int_equal(ride.options.values[LOAD_NUM_CTX], 8192);
    wants(2, 4096, NONE);
    assert_int_equal(look(2, "m", 1), LOAD_GO); /* so does what is smaller */
    assert_int_equal(ride.options.values[LOAD_NUM_CTX], 8192);
    wants(3, 16384, 0);
    assert_int_equal(look(3, "m", 0), LOAD_GO);
    assert_int_equal(look(3, "m", 1), LOAD_BEGIN);
    assert_int_equal(last->options.values[LOAD_NUM_CTX], 16384);
    assert_int_equal(look(4, "m", 0), LOAD_WAIT); /* who comes meanwhile waits for it */
    end(last, LOAD_ENDED_WELL, 500);
    wants(5, 2048, NONE);
    assert_int_equal(look(5, "m", 1), LOAD_GO);
    assert_int_equal(ride.options.values[LOAD_NUM_CTX], 16384);
    assert_int_equal(ride.options.values[LOAD_NUM_GPU], 0);
    wants(6, NONE, 1);
    assert_int_equal(look(6, "m", 1), LOAD_BEGIN);
    assert_int_equal(last->options.values[LOAD_NUM_CTX], 16384); /* what was loaded else stays */
    assert_int_equal(last->options.values[LOAD_NUM_GPU], 1);
}

static void test_two_who_differ_are_served_one_after_the_other(void **state)
{
    (void)state;
    load(0, "m");
    for (int i = 1; i < 4; i++) {
        wants(i, NONE, i);
        askers[i].looks_again = "m";
        askers[i].must_fit = 1;
    }
    assert_int_equal(look(1, "m", 1), LOAD_BEGIN);
    struct load *row = last;
    assert_int_equal(look(2, "m", 1), LOAD_WAIT);
    assert_int_equal(look(3, "m", 1), LOAD_WAIT);
    end(row, LOAD_ENDED_WELL, 100);
    assert_int_equal(askers[1].then, LOAD_GO);
    assert_int_equal(askers[2].then, LOAD_BEGIN);
    assert_int_equal(askers[3].then, LOAD_WAIT);
    end(row, LOAD_ENDED_WELL, 100);
    assert_int_equal(askers[2].then, LOAD_GO);
    assert_int_equal(askers[3].then, LOAD_BEGIN);
    end(row, LOAD_ENDED_WELL, 100);
    assert_int_equal(askers[3].then, LOAD_GO);
    assert_int_equal(waiting.now_n, 0);
}

static void test_it_is_known_until_its_keep_alive_ends(void **state)
{
    (void)state;
    load(0, "m");
    now_ms += 300000 - LOADS_MARGIN_MS - 1;
    assert_known("m", 1);
    now_ms += 1;
    assert_known("m", 0);
    load(0, "m");
    answer(0, "m", 1000, LOAD_ANSWER_WELL);
    now_ms += 299000 - 1;
    assert_known("m", 1);
    askers[1].ticket.wish.keep_alive_ms = 5000; /* each request says anew how long */
    answer(1, "m", 1000, LOAD_ANSWER_WELL);
    now_ms += 4000 - 1;
    assert_known("m", 1);
    answer(0, "m", 1000, LOAD_ANSWER_WELL); /* … and who says nothing leaves it as it is */
    now_ms += 4000;
    assert_known("m", 0);
    load(0, "m");
    askers[1].ticket.wish.keep_alive_ms = ASK_KEEP_FOR_EVER;
    answer(1, "m", 1000, LOAD_ANSWER_WELL);
    now_ms += 1000000000;
    assert_known("m", 1);
    askers[1].ticket.wish.keep_alive_ms = 0;
    answer(1, "m", 1000, LOAD_ANSWER_WELL);
    assert_known("m", 0);
}

static void test_it_is_known_while_somebody_is_answered(void **state)
{
    (void)state;
    load(0, "m");
    struct load *row = loads_answer(&l, "m", now_ms);
    now_ms += 3600000;
    assert_known("m", 1);
    loads_answered(&l, row, &askers[0].ticket.wish, LOAD_ANSWER_LEFT, now_ms);
    assert_known("m", 1);
}

static void test_a_load_keeps_its_model_for_the_request_that_it_is_for(void **state)
{
    (void)state;
    askers[0].ticket.wish.keep_alive_ms = 0;
    assert_int_equal(look(0, "m", 0), LOAD_BEGIN);
    assert_int_equal(loads_keep_alive_ms(&l, last), LOADS_KEEP_LEAST_MS);
    end(last, LOAD_ENDED_WELL, 500);
    assert_int_equal(look(1, "m", 1), LOAD_GO); /* who says nothing names what would have been the case */
    assert_int_equal(ride.keep_alive_ms, 300000);
    assert_int_equal(look(0, "m", 1), LOAD_GO);
    assert_int_equal(ride.keep_alive_ms, ASK_KEEP_UNSAID);
    askers[0].ticket.wish.keep_alive_ms = 60000;
    answer(0, "m", 1, LOAD_ANSWER_WELL);
    assert_int_equal(look(1, "m", 1), LOAD_GO);
    assert_int_equal(ride.keep_alive_ms, ASK_KEEP_UNSAID);
    assert_int_equal(look(2, "n", 0), LOAD_BEGIN);
    assert_int_equal(loads_keep_alive_ms(&l, last), ASK_KEEP_UNSAID); /* Ollama's own is long enough */
    end(last, LOAD_ENDED_WELL, 500);
    askers[3].ticket.wish.keep_alive_ms = 3600000;
    assert_int_equal(look(3, "o", 0), LOAD_BEGIN);
    assert_int_equal(loads_keep_alive_ms(&l, last), 3600000);
}

static void test_where_nobody_knows_the_backends_keep_alive_it_is_not_named(void **state)
{
    (void)state;
    loads_init(&l, ASK_KEEP_UNSAID, &waiting);
    askers[0].ticket.wish.keep_alive_ms = 0;
    load(0, "m");
    assert_int_equal(look(1, "m", 1), LOAD_GO);
    assert_int_equal(ride.keep_alive_ms, ASK_KEEP_UNSAID);
    loads_init(&l, 10, &waiting); /* OLLAMA_KEEP_ALIVE=10ms */
    assert_int_equal(look(2, "m", 0), LOAD_BEGIN);
    assert_int_equal(loads_keep_alive_ms(&l, last), LOADS_KEEP_LEAST_MS);
}

static void test_another_load_may_have_taken_its_memory(void **state)
{
    (void)state;
    load(0, "a");
    load(0, "b");
    assert_known("a", 0);
    load(0, "a");
    struct load *answering = loads_answer(&l, "a", now_ms);
    load(0, "b");
    assert_known("a", 1); /* nothing takes what somebody is answered by */
    loads_answered(&l, answering, &askers[0].ticket.wish, LOAD_ANSWER_WELL, now_ms);
    assert_known("a", 1);
    assert_int_equal(look(0, "c", 0), LOAD_BEGIN);
    end(last, LOAD_ENDED_WELL, LOADS_INSTANT_MS - 1); /* it was there: nothing had to go */
    assert_known("a", 1);
    assert_known("b", 1);
}

static void test_what_is_forgotten(void **state)
{
    (void)state;
    load(0, "a");
    loads_forget(&l, "b");
    assert_known("a", 1);
    loads_forget(&l, "A:latest");
    assert_known("a", 0);
    load(0, "a");
    loads_forget_all(&l);
    assert_known("a", 0);
    load(0, "a");
    answer(0, "a", 1, LOAD_ANSWER_BAD);
    assert_known("a", 0);
    assert_int_equal(look(0, "a", 0), LOAD_BEGIN);
    loads_forget_all(&l); /* a load that is under way goes on */
    end(last, LOAD_ENDED_WELL, 100);
    assert_known("a", 1);
}

static void test_what_may_be_there_is_asked_for_as_it_was(void **state)
{
    (void)state;
    wants(0, 8192, 3);
    load(0, "m");
    loads_doubt_all(&l);
    assert_int_equal(look(1, "m", 0), LOAD_BEGIN);
    assert_int_equal(last->options.values[LOAD_NUM_GPU], 3);
    end(last, LOAD_ENDED_FAILED, 100); /* of more than was asked for: that is no news for who asked */
    assert_int_equal(look(1, "m", 0), LOAD_BEGIN);
    assert_int_equal(last->options.set, 0);
    end(last, LOAD_ENDED_WELL, 100);
    assert_int_equal(look(0, "m", 1), LOAD_BEGIN);
    end(last, LOAD_ENDED_WELL, 100);
    loads_doubt_all(&l);
    loads_forget_all(&l); /* another backend has nothing of it */
    assert_int_equal(look(5, "m", 0), LOAD_BEGIN);
    assert_int_equal(last->options.set, 0);
}

static void test_what_is_unloaded_while_it_is_loaded_or_answers_is_not_known(void **state)
{
    (void)state;
    assert_int_equal(look(0, "m", 0), LOAD_BEGIN);
    loads_forget(&l, "m");
    end(last, LOAD_ENDED_WELL, 100);
    assert_known("m", 0);
    load(0, "m");
    struct load *first = loads_answer(&l, "m", now_ms), *second = loads_answer(&l, "m", now_ms);
    loads_forget(&l, "m");
    loads_answered(&l, first, &askers[0].ticket.wish, LOAD_ANSWER_WELL, now_ms);
    load(0, "m"); /* it stays while somebody is answered */
    assert_known("m", 1);
    loads_answered(&l, second, &askers[0].ticket.wish, LOAD_ANSWER_WELL, now_ms);
    assert_known("m", 0);
}

static void test_what_was_refused_for_what_it_says_changes_nothing(void **state)
{
    (void)state;
    load(0, "m");
    askers[1].ticket.wish.keep_alive_ms = ASK_KEEP_FOR_EVER;
    answer(1, "m", 1, LOAD_ANSWER_NONE);
    now_ms += 300000;
    assert_known("m", 0);
}

static void test_what_was_answered_well_without_a_load_is_known(void **state)
{
    (void)state;
    wants(0, 8192, NONE);
    assert_int_equal(look(0, "m", 0), LOAD_BEGIN);
    end(last, LOAD_ENDED_UNTOLD, 1);
    answer(0, "m", 100, LOAD_ANSWER_LEFT);
    assert_known("m", 0);
    answer(0, "m", 100, LOAD_ANSWER_WELL);
    assert_int_equal(look(1, "m", 1), LOAD_GO);
    assert_int_equal(ride.options.values[LOAD_NUM_CTX], 8192);
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_all_who_wait_share_one_load_proxy_scenario_24),
        CASE(test_a_load_that_nobody_waits_for_is_known_when_it_ends),
        CASE(test_names_that_are_none_and_too_many_are_not_known),
        CASE(test_max_queue_bounds_those_who_wait),
        CASE(test_a_failure_is_told_to_those_who_asked_for_the_same),
        CASE(test_what_is_refused_or_lost_is_told_to_all),
        CASE(test_who_leaves_while_others_are_told_is_not_called),
        CASE(test_any_options_will_do_until_it_must_fit_proxy_scenario_36),
        CASE(test_two_who_differ_are_served_one_after_the_other),
        CASE(test_it_is_known_until_its_keep_alive_ends),
        CASE(test_it_is_known_while_somebody_is_answered),
        CASE(test_a_load_keeps_its_model_for_the_request_that_it_is_for),
        CASE(test_where_nobody_knows_the_backends_keep_alive_it_is_not_named),
        CASE(test_another_load_may_have_taken_its_memory),
        CASE(test_what_is_forgotten),
        CASE(test_what_may_be_there_is_asked_for_as_it_was),
        CASE(test_what_is_unloaded_while_it_is_loaded_or_answers_is_not_known),
        CASE(test_what_was_refused_for_what_it_says_changes_nothing),
        CASE(test_what_was_answered_well_without_a_load_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
