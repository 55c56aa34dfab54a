/* proxy/serve/engines: what always holds, over many turns of chance. */
#include "tests/unit/engines_world.h"

static int active_n(void)
{
    int n = 0;
    for (int i = 0; i < ROWS; i++)
        n += rows[i].state == CONTRACT_STARTING || rows[i].state == CONTRACT_READY || rows[i].state == CONTRACT_STOPPING;
    return n;
}

static uint32_t seed;

static uint32_t chance(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

/* What the supervisor, and engines, do by themselves. */
static void advance_a_row(int may_fail)
{
    struct engines_row *row = &rows[chance(ROWS)];
    if (row->state == CONTRACT_STARTING) {
        row->state = may_fail && chance(4) == 0 ? CONTRACT_FAILED : CONTRACT_READY;
        row->load_ms = 1 + chance(3000);
        row->was_ready = row->state == CONTRACT_READY;
    } else if (row->state == CONTRACT_READY && may_fail && chance(30) == 0)
        row->state = CONTRACT_FAILED;
    else if (row->state == CONTRACT_STOPPING)
        row->state = chance(5) == 0 ? CONTRACT_FAILED : CONTRACT_DOWN;
}

static void turn(int may_fail)
{
    static const char *const names[MODELS] = {"a", "b", "c", "d", "e"};
    struct wanter *w = &wanters[chance(WANTERS)];
    if (!w->is_busy)
        want(w, names[chance(MODELS)]);
    else if (w->verdict != ENGINES_WAIT || chance(20) == 0)
        leave(w);
    if (chance(2))
        advance_a_row(may_fail);
    is_deaf = may_fail && chance(50) == 0 ? EAGAIN : 0;
    if (chance(3))
        engines_see(&e, rows, ROWS, now_ms);
    if (chance(3)) {
        engines_see(&e, rows, ROWS, now_ms);
        next_ms = engines_review(&e, now_ms);
    }
    if (chance(3))
        engines_wake(&e);
    now_ms += chance(2) ? chance(2000) : 0;
    assert_true(active_n() <= (int)e.rules.models_max);
}

static void test_what_always_holds(void **state)
{
    (void)state;
    for (uint32_t run = 1; run <= 60; run++) {
        seed = run;
        world_begin(1 + run % 4);
        e.rules.cooldown_ms = run % 3 ? 20000 : 0;
        for (int i = 0; i < 3000; i++)
            turn(1);
        is_deaf = 0;
        for (int i = 0; i < 4000; i++) { /* nobody new comes: each who waits is told something, as long as those who are served leave */
            struct wanter *w = &wanters[chance(WANTERS)];
            if (w->is_busy && w->verdict != ENGINES_WAIT)
                leave(w);
            advance_a_row(0);
            settle();
            now_ms += chance(2000);
        }
        for (int i = 0; i < WANTERS; i++)
            assert_false(wanters[i].is_busy && wanters[i].verdict == ENGINES_WAIT);
        assert_true(starts_n > 20 && stops_n > 10);
        world_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_always_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
