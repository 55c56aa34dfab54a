/* common/timerq: the heap against a plain array, and what callbacks may do to it. */
#include "common/timerq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TIMERS = 200, STEPS = 20000 };

static uint32_t random_state = 1;

/* xorshift: the same numbers on every run. */
static uint32_t dice(uint32_t sides)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % sides;
}

struct model {
    struct timer timers[TIMERS];
    int64_t at_ms[TIMERS]; /* -1: not armed */
    int64_t last_fired_ms, now_ms;
    unsigned fired_n;
};

struct context {
    struct model *m;
    size_t index;
};

static void model_fired(void *context, int64_t now_ms)
{
    struct context *c = context;
    struct model *m = c->m;
    assert_int_equal(now_ms, m->now_ms);
    assert_true(m->at_ms[c->index] >= 0 && m->at_ms[c->index] <= now_ms);
    assert_true(m->at_ms[c->index] >= m->last_fired_ms); /* in the order of their deadlines */
    assert_false(timer_is_armed(&m->timers[c->index]));
    m->last_fired_ms = m->at_ms[c->index];
    m->at_ms[c->index] = -1;
    m->fired_n++;
}

static int64_t model_next(const struct model *m)
{
    int64_t next = -1;
    for (size_t i = 0; i < TIMERS; i++)
        if (m->at_ms[i] >= 0 && (next < 0 || m->at_ms[i] < next))
            next = m->at_ms[i];
    return next;
}

static void test_random_arming_and_disarming_against_a_model(void **state)
{
    (void)state;
    static struct model m;
    static struct context contexts[TIMERS];
    struct timerq q;
    timerq_init(&q);
    for (size_t i = 0; i < TIMERS; i++) {
        contexts[i] = (struct context){&m, i};
        timer_init(&m.timers[i], model_fired, &contexts[i]);
        m.at_ms[i] = -1;
    }
    for (int step = 0; step < STEPS; step++) {
        size_t i = dice(TIMERS);
        switch (dice(4)) {
        case 0:
        case 1:
            m.at_ms[i] = m.now_ms + dice(50);
            assert_int_equal(timerq_arm(&q, &m.timers[i], m.at_ms[i]), 0);
            break;
        case 2:
            m.at_ms[i] = -1;
            timerq_disarm(&q, &m.timers[i]);
            break;
        default:
            m.now_ms += dice(5);
            m.last_fired_ms = 0;
            timerq_run(&q, m.now_ms);
            assert_true(model_next(&m) < 0 || model_next(&m) > m.now_ms);
            break;
        }
        assert_int_equal(timerq_next_ms(&q), model_next(&m));
        assert_int_equal(timer_is_armed(&m.timers[i]) != 0, m.at_ms[i] >= 0);
    }
    assert_true(m.fired_n > 1000);
    timerq_fini(&q);
}

struct bell {
    struct timerq *q;
    struct timer timer;
    struct timer *other; /* disarmed, or armed, by the callback */
    int64_t again_at_ms; /* -1: not re-armed */
    unsigned rings_n;
};

static void ring(void *context, int64_t now_ms)
{
    struct bell *b = context;
    (void)now_ms;
    b->rings_n++;
    if (b->again_at_ms >= 0)
        assert_int_equal(timerq_arm(b->q, &b->timer, b->again_at_ms), 0);
    if (b->other)
        timerq_disarm(b->q, b->other);
}

static void bell_init(struct bell *b, struct timerq *q, int64_t at_ms)
{
    *b = (struct bell){.q = q, .again_at_ms = -1};
    timer_init(&b->timer, ring, b);
    assert_int_equal(timerq_arm(q, &b->timer, at_ms), 0);
}

static void test_a_timer_may_rearm_itself(void **state)
{
    (void)state;
    struct timerq q;
    struct bell b;
    timerq_init(&q);
    bell_init(&b, &q, 10);
    b.again_at_ms = 30;
    timerq_run(&q, 9);
    assert_int_equal(b.rings_n, 0);
    timerq_run(&q, 10);
    assert_int_equal(b.rings_n, 1);
    assert_int_equal(timerq_next_ms(&q), 30);
    timerq_run(&q, 29);
    assert_int_equal(b.rings_n, 1);
    timerq_run(&q, 30);
    assert_int_equal(b.rings_n, 2);
    timerq_fini(&q);
}

static void test_one_that_rearms_itself_for_the_past_rings_once_a_run(void **state)
{
    (void)state;
    struct timerq q;
    struct bell greedy, patient[3];
    timerq_init(&q);
    bell_init(&greedy, &q, 1);
    greedy.again_at_ms = 0;
    for (size_t i = 0; i < 3; i++)
        bell_init(&patient[i], &q, 5);
    timerq_run(&q, 10);
    assert_int_equal(greedy.rings_n, 1);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(patient[i].rings_n, 1); /* nobody is held up by it */
    assert_true(timer_is_armed(&greedy.timer));
    timerq_run(&q, 11);
    assert_int_equal(greedy.rings_n, 2);
    timerq_fini(&q);
}

static void test_a_callback_may_disarm_one_that_is_due_too(void **state)
{
    (void)state;
    struct timerq q;
    struct bell first, second;
    timerq_init(&q);
    bell_init(&first, &q, 1);
    bell_init(&second, &q, 2);
    first.other = &second.timer;
    timerq_run(&q, 10);
    assert_int_equal(first.rings_n, 1);
    assert_int_equal(second.rings_n, 0);
    assert_int_equal(timerq_next_ms(&q), -1);
    timerq_fini(&q);
}

static void test_arming_again_moves_and_does_not_double(void **state)
{
    (void)state;
    struct timerq q;
    struct bell b;
    timerq_init(&q);
    bell_init(&b, &q, 50);
    assert_int_equal(timerq_arm(&q, &b.timer, 5), 0);
    assert_int_equal(timerq_arm(&q, &b.timer, 20), 0);
    assert_int_equal(q.timers_n, 1);
    timerq_run(&q, 19);
    assert_int_equal(b.rings_n, 0);
    timerq_run(&q, 100);
    assert_int_equal(b.rings_n, 1);
    timerq_disarm(&q, &b.timer); /* not armed: harmless */
    timerq_disarm(&q, &b.timer);
    assert_int_equal(q.timers_n, 0);
    timerq_fini(&q);
}

static void test_room_that_was_reserved_needs_no_memory(void **state)
{
    (void)state;
    struct timerq q;
    struct bell bells[64];
    timerq_init(&q);
    assert_int_equal(timerq_reserve(&q, 64), 0);
    struct timer **heap = q.heap;
    for (size_t i = 0; i < 64; i++)
        bell_init(&bells[i], &q, (int64_t)(64 - i));
    assert_ptr_equal(q.heap, heap);
    for (int64_t now_ms = 1; now_ms <= 64; now_ms++) {
        assert_int_equal(timerq_next_ms(&q), now_ms);
        timerq_run(&q, now_ms);
        assert_int_equal(bells[64 - now_ms].rings_n, 1);
    }
    timerq_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_arming_and_disarming_against_a_model),
        cmocka_unit_test(test_a_timer_may_rearm_itself),
        cmocka_unit_test(test_one_that_rearms_itself_for_the_past_rings_once_a_run),
        cmocka_unit_test(test_a_callback_may_disarm_one_that_is_due_too),
        cmocka_unit_test(test_arming_again_moves_and_does_not_double),
        cmocka_unit_test(test_room_that_was_reserved_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
