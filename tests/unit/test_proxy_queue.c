/* proxy/queue: who gets a slot, and in which order; leaving and entering at every moment. */
#include "proxy/queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ASKERS = 40, LIMIT = 30 };

struct asker {
    struct queue_ticket ticket;
    int number;
    struct asker *takes_along[3]; /* leave when this one gets its slot */
    struct asker *brings;         /* enters then */
    int is_leaving;               /* it leaves itself then */
    int served_n;
};

static struct queue q;
static struct waiting waiting;
static struct asker askers[ASKERS];
static int order[4 * ASKERS], order_n;
static int64_t now_ms;

static enum queue_verdict enter(struct asker *a, const char *model)
{
    return queue_enter(&q, &a->ticket, model, 0, now_ms);
}

static void leave(struct asker *a)
{
    queue_leave(&q, &a->ticket, now_ms);
}

/* As the loop does at the end of a turn. */
static void settle(void)
{
    if (queue_is_due(&q))
        queue_review(&q, now_ms);
    assert_false(queue_is_due(&q));
}

static void on_slot(void *context)
{
    struct asker *a = context;
    order[order_n++] = a->number;
    a->served_n++;
    assert_true(a->ticket.has_slot);
    for (size_t i = 0; i < sizeof a->takes_along / sizeof *a->takes_along; i++)
        if (a->takes_along[i])
            leave(a->takes_along[i]);
    if (a->brings)
        (void)enter(a->brings, "m");
    if (a->is_leaving)
        leave(a);
    queue_review(&q, now_ms); /* in vain: the walk that is under way sees to it */
}

static void begin(size_t slots_n)
{
    waiting = (struct waiting){.limit_n = LIMIT};
    queue_init(&q, slots_n, &waiting);
    order_n = 0;
    now_ms = 1000;
    for (int i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.number = i};
        askers[i].ticket = (struct queue_ticket){.fn = on_slot, .context = &askers[i]};
    }
}

static void assert_empty(void)
{
    assert_int_equal(q.serving_n, 0);
    assert_int_equal(q.waiting_n, 0);
    assert_int_equal(waiting.now_n, 0);
    assert_false(queue_is_due(&q));
    for (int i = 0; i < QUEUE_BUCKETS; i++)
        assert_null(q.buckets[i]);
    queue_fini(&q);
}

static void assert_order(const char *expected)
{
    char text[512] = "";
    size_t n = 0;
    for (int i = 0; i < order_n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", i ? " " : "", order[i]);
    assert_string_equal(text, expected);
}

static void test_one_slot_is_given_in_the_order_of_arrival(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(enter(&askers[0], "m"), QUEUE_GO);
    for (int i = 1; i < 20; i++)
        assert_int_equal(enter(&askers[i], "m"), QUEUE_WAIT);
    assert_int_equal(q.waiting_n, 19);
    for (int i = 0; i < 20; i++) {
        settle();
        assert_int_equal(order_n, i); /* each only when the one before has gone */
        leave(&askers[i]);
    }
    settle();
    assert_order("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19");
    assert_empty();
}

static void test_nobody_overtakes_between_a_leaving_and_the_review(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(enter(&askers[0], "m"), QUEUE_GO);
    assert_int_equal(enter(&askers[1], "m"), QUEUE_WAIT);
    leave(&askers[0]);
    assert_true(queue_is_due(&q));
    assert_int_equal(enter(&askers[2], "m"), QUEUE_WAIT); /* the slot is free, and another's */
    settle();
    assert_order("1");
    leave(&askers[1]);
    settle();
    leave(&askers[2]);
    assert_empty();
}

static void test_several_slots(void **state)
{
    (void)state;
    begin(3);
    for (int i = 0; i < 8; i++)
        assert_int_equal(enter(&askers[i], "m"), i < 3 ? QUEUE_GO : QUEUE_WAIT);
    leave(&askers[1]);
    leave(&askers[2]);
    settle();
    assert_order("3 4");
    assert_int_equal(q.serving_n, 3);
    for (int i = 0; i < 8; i++)
        leave(&askers[i]);
    settle();
    assert_order("3 4");
    assert_empty();
}

static void test_without_a_limit_nothing_is_counted(void **state)
{
    (void)state;
    begin(0);
    waiting.limit_n = 0;
    for (int i = 0; i < ASKERS; i++)
        assert_int_equal(enter(&askers[i], "m"), QUEUE_GO);
    assert_int_equal(q.serving_n, 0);
    for (int i = 0; i < ASKERS; i++)
        leave(&askers[i]);
    assert_int_equal(queue_estimate_ms(&q, "m"), 0);
    assert_empty();
}

static void test_models_do_not_wait_for_each_other(void **state)
{
    (void)state;
    begin(1);
    assert_int_equal(enter(&askers[0], "a"), QUEUE_GO);
    assert_int_equal(enter(&askers[1], "a"), QUEUE_WAIT);
    assert_int_equal(enter(&askers[2], "b"), QUEUE_GO);
    assert_int_equal(enter(&askers[3], "b"), QUEUE_WAIT);
    leave(&askers[2]);
    settle();
    assert_order("3");
    leave(&askers[3]);
    leave(&askers[0]);
    settle();
    assert_order("3 1");
    leave(&askers[1]);
    assert_empty();
}

static void test_names_of_one_model_share_its_slot(void **state)
{
    (void)state;
    static const char *const names[] = {"llama3.2", "llama3.2:latest", "LLAMA3.2:Latest", "library/llama3.2",
                                        "registry.ollama.ai/library/llama3.2:latest"};
    static const char *const others[] = {"llama3.2:1b", "x/llama3.2", "llama3"};
    begin(1);
    int n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(enter(&askers[n++], names[i]), i == 0 ? QUEUE_GO : QUEUE_WAIT);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_int_equal(enter(&askers[n++], others[i]), QUEUE_GO);
    leave(&askers[0]); /* whose spelling it was */
    settle();
    assert_order("1");
    assert_int_equal(enter(&askers[n++], "llama3.2"), QUEUE_WAIT);
    for (int i = 0; i < n; i++)
        leave(&askers[i]);
    assert_empty();
}

static void test_who_leaves_the_line_makes_room(void **state)
{
    (void)state;
    begin(1);
    for (int i = 0; i < 6; i++)
        (void)enter(&askers[i], "m");
    leave(&askers[1]); /* the first, one in the middle, the last */
    leave(&askers[3]);
    leave(&askers[5]);
    leave(&askers[5]); /* twice is once */
    assert_int_equal(q.waiting_n, 2);
    assert_int_equal(enter(&askers[5], "m"), QUEUE_WAIT);
    for (int i = 0; i < 6; i++) {
        leave(&askers[i]);
        settle();
    }
    assert_order("2 4 5");
    assert_empty();
}

static void test_the_line_is_bounded_for_who_was_not_let_in_before(void **state)
{
    (void)state;
    begin(1);
    for (int i = 0; i <= LIMIT; i++)
        assert_int_equal(enter(&askers[i], "m"), i ? QUEUE_WAIT : QUEUE_GO);
    assert_int_equal(enter(&askers[LIMIT + 1], "m"), QUEUE_FULL);
    assert_null(askers[LIMIT + 1].ticket.lane);
    assert_int_equal(enter(&askers[LIMIT + 2], "other"), QUEUE_GO); /* it need not wait */
    assert_int_equal(enter(&askers[LIMIT + 3], "other"), QUEUE_FULL);
    assert_int_equal(queue_enter(&q, &askers[LIMIT + 3].ticket, "other", 1, now_ms), QUEUE_WAIT);
    assert_int_equal(waiting.now_n, LIMIT + 1);
    leave(&askers[LIMIT + 3]);
    leave(&askers[7]);
    assert_int_equal(enter(&askers[LIMIT + 1], "m"), QUEUE_WAIT);
    leave(&askers[8]);
    waiting.now_n++; /* somebody waits at the gate */
    assert_int_equal(enter(&askers[8], "m"), QUEUE_FULL);
    waiting.now_n--;
    for (int i = 0; i < ASKERS; i++)
        leave(&askers[i]);
    assert_empty();
}

static void test_who_has_a_slot_keeps_it(void **state)
{
    (void)state;
    begin(1);
    (void)enter(&askers[0], "m");
    (void)enter(&askers[1], "m");
    assert_int_equal(enter(&askers[0], "m"), QUEUE_GO); /* another try */
    assert_int_equal(q.serving_n, 1);
    leave(&askers[0]);
    settle();
    assert_order("1");
    leave(&askers[1]);
    assert_empty();
}

static void test_leaving_and_entering_while_the_line_is_walked(void **state)
{
    (void)state;
    begin(3);
    for (int i = 0; i < 3; i++)
        (void)enter(&askers[i], "m");
    for (int i = 3; i < 12; i++)
        (void)enter(&askers[i], "m");
    askers[3].takes_along[0] = &askers[4]; /* the next, one later, one that has its slot */
    askers[3].takes_along[1] = &askers[7];
    askers[3].takes_along[2] = &askers[2];
    askers[3].brings = &askers[20];
    askers[5].is_leaving = 1; /* its connection fails at once */
    leave(&askers[0]);
    leave(&askers[1]);
    settle();
    assert_order("3 5 6 8"); /* three slots: 5 left its own */
    assert_int_equal(q.serving_n, 3);
    for (int i = 0; i < ASKERS; i++)
        leave(&askers[i]);
    assert_empty();
    begin(1);
    (void)enter(&askers[0], "m");
    for (int i = 1; i < 30; i++) {
        (void)enter(&askers[i], "m");
        askers[i].is_leaving = 1;
    }
    leave(&askers[0]); /* Ollama has failed: all are told so in one walk, none on the other's stack */
    settle();
    assert_int_equal(order_n, 29);
    assert_empty();
}

static void test_the_last_of_a_model_may_go_while_it_is_walked(void **state)
{
    (void)state;
    begin(1);
    (void)enter(&askers[0], "a");
    (void)enter(&askers[1], "a");
    (void)enter(&askers[2], "b");
    (void)enter(&askers[3], "b");
    askers[1].is_leaving = 1;
    askers[1].takes_along[0] = &askers[3];
    leave(&askers[0]);
    leave(&askers[2]);
    settle();
    assert_order("1");
    assert_empty();
}

static void test_a_million_names_leave_nothing_behind(void **state)
{
    (void)state;
    char name[32];
    begin(1);
    for (int i = 0; i < 1000000; i++) {
        struct asker *a = &askers[i % ASKERS];
        leave(a);
        snprintf(name, sizeof name, "m%d", i);
        assert_int_equal(enter(a, name), QUEUE_GO);
    }
    assert_int_equal(q.serving_n, ASKERS);
    for (int i = 0; i < ASKERS; i++)
        leave(&askers[i]);
    assert_true(q.spares_n <= ASKERS);
    assert_empty();
}

static void test_the_estimate_follows_what_was_measured(void **state)
{
    (void)state;
    begin(2);
    assert_int_equal(queue_estimate_ms(&q, "m"), 0);
    for (int i = 0; i < 50; i++) {
        (void)enter(&askers[0], "m");
        now_ms += 2000;
        leave(&askers[0]);
    }
    assert_in_range(queue_estimate_ms(&q, "m"), 1990, 2000);
    for (int i = 0; i < 9; i++) /* two are served, seven wait: three rounds, and a fourth */
        (void)enter(&askers[i], "m");
    assert_in_range(queue_estimate_ms(&q, "m"), 4 * 1990, 4 * 2000);
    assert_in_range(queue_estimate_ms(&q, "another"), 1990, 2000);
    for (int i = 0; i < 9; i++)
        leave(&askers[i]);
    assert_empty();
}

static void test_free_slots_are_those_that_nobody_has_or_waits_for(void **state)
{
    (void)state;
    begin(3);
    assert_int_equal(queue_free_n(&q, "m"), 3);
    for (size_t i = 0; i < 5; i++) {
        (void)enter(&askers[i], "m:latest");
        assert_int_equal(queue_free_n(&q, "m"), i < 3 ? 2 - i : 0);
        assert_int_equal(queue_free_n(&q, "another"), 3);
    }
    leave(&askers[0]);
    leave(&askers[1]);
    assert_int_equal(queue_free_n(&q, "m"), 0); /* two wait for them */
    for (int i = 2; i < 5; i++)
        leave(&askers[i]);
    assert_int_equal(queue_free_n(&q, "m"), 3);
    assert_empty();
    begin(0);
    assert_int_equal(queue_free_n(&q, "m"), SIZE_MAX);
    assert_empty();
}

static int is_first_in_line(const struct queue_ticket *t)
{
    return t->lane && !t->has_slot && !t->previous;
}

/* Whatever happens: slots are never over- or underused, and each line is served in its order. */
static void test_any_sequence_of_events(void **state)
{
    (void)state;
    static const char *const models[] = {"a", "b:latest", "b", "c"};
    static const int line_of[] = {0, 1, 1, 2};
    uint64_t dice = 42;
    long arrived[ASKERS], arrivals = 0;
    int line[ASKERS];
    begin(2);
    for (int step = 0; step < 200000; step++) {
        dice = dice * 6364136223846793005u + 1442695040888963407u;
        int i = (int)((dice >> 33) % ASKERS);
        struct asker *a = &askers[i];
        size_t model = (size_t)(dice >> 60) % 4;
        if (a->ticket.lane) {
            leave(a);
        } else if (enter(a, models[model]) != QUEUE_FULL) {
            arrived[i] = arrivals++;
            line[i] = line_of[model];
        }
        if ((dice >> 20) % 3 == 0) {
            order_n = 0;
            settle();
            for (int k = 1; k < order_n; k++)
                for (int before = 0; before < k; before++)
                    assert_true(line[order[k]] != line[order[before]] || arrived[order[before]] < arrived[order[k]]);
        }
        size_t serving_n = 0, waiting_n = 0, of_line[3] = {0};
        for (int k = 0; k < ASKERS; k++) {
            serving_n += (size_t)askers[k].ticket.has_slot;
            waiting_n += askers[k].ticket.lane && !askers[k].ticket.has_slot;
            if (askers[k].ticket.has_slot)
                of_line[line[k]]++;
        }
        assert_int_equal(q.serving_n, serving_n);
        assert_int_equal(q.waiting_n, waiting_n);
        assert_int_equal(waiting.now_n, waiting_n);
        assert_true(waiting_n <= LIMIT);
        for (int k = 0; k < ASKERS; k++)
            if (askers[k].ticket.lane)
                assert_true(of_line[line[k]] <= 2);
        for (int k = 0; k < ASKERS && !queue_is_due(&q); k++)
            if (is_first_in_line(&askers[k].ticket))
                assert_int_equal(of_line[line[k]], 2); /* nobody waits beside a free slot */
    }
    for (int i = 0; i < ASKERS; i++)
        leave(&askers[i]);
    assert_empty();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_slot_is_given_in_the_order_of_arrival),
        cmocka_unit_test(test_nobody_overtakes_between_a_leaving_and_the_review),
        cmocka_unit_test(test_several_slots),
        cmocka_unit_test(test_without_a_limit_nothing_is_counted),
        cmocka_unit_test(test_models_do_not_wait_for_each_other),
        cmocka_unit_test(test_names_of_one_model_share_its_slot),
        cmocka_unit_test(test_who_leaves_the_line_makes_room),
        cmocka_unit_test(test_the_line_is_bounded_for_who_was_not_let_in_before),
        cmocka_unit_test(test_who_has_a_slot_keeps_it),
        cmocka_unit_test(test_leaving_and_entering_while_the_line_is_walked),
        cmocka_unit_test(test_the_last_of_a_model_may_go_while_it_is_walked),
        cmocka_unit_test(test_a_million_names_leave_nothing_behind),
        cmocka_unit_test(test_the_estimate_follows_what_was_measured),
        cmocka_unit_test(test_free_slots_are_those_that_nobody_has_or_waits_for),
        cmocka_unit_test(test_any_sequence_of_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
