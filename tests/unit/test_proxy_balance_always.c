/* proxy/balance: what holds whatever happens, and for thousands. */
#include "proxy/balance/balance.h"
#include "tests/unit/balance_scene.h"

enum { MANY = 20000 };

/* How many steps it is from the top of its line: what it costs to enter there, to leave, and to tell its place. */
static size_t depth_of(const struct balance_ticket *t)
{
    size_t depth_n = 0;
    for (; t->up; t = t->up)
        depth_n++;
    return depth_n;
}

/* In a list there would be 20,000 of them, and in a tree that nobody balances half as many, as most come in order. */
static void test_twenty_thousand_wait(void **state)
{
    (void)state;
    static struct balance_ticket tickets[MANY];
    struct balance_way ways[BALANCE_BACKENDS];
    uint32_t chance = 1;
    int64_t order_ms = INT64_MIN;
    for (int i = 0; i < BALANCE_BACKENDS; i++)
        ways[i] = (struct balance_way){.run_ms = i < 8 ? SECOND : BALANCE_NO_WAY};
    for (int i = 0; i < MANY; i++) {
        chance = chance * 1664525 + 1013904223;
        tickets[i] = (struct balance_ticket){.priority = chance >> 16 & 7, .payer = 1 + (chance >> 8) % 3000, .ways = ways};
        enter(&tickets[i], "m");
        now_ms += chance >> 30;
    }
    for (int i = 0; i < MANY; i++)
        assert_true(depth_of(&tickets[i]) < 64 && balance_place(b, &tickets[i]) < MANY);
    balance_set_backend(b, 0, 1, 1, 1);
    int64_t wait_ms = balance_wait_ms(b, &tickets[MANY - 1], now_ms), place = (int64_t)balance_place(b, &tickets[MANY - 1]);
    assert_in_range(wait_ms, place * SECOND * 9 / 10, place * SECOND * 11 / 10);
    for (int i = 0; i < MANY; i++) {
        struct balance_ticket *t = balance_next(b, now_ms, &again_ms);
        assert_non_null(t);
        assert_true(t->tag_ms >= order_ms);
        order_ms = t->tag_ms;
        balance_leave(b, t);
    }
}

enum { CHANCES = 60000, PROPERTY_BACKENDS = 5 };

static uint32_t seed;

static uint32_t chance(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

static size_t slots[PROPERTY_BACKENDS];
static int is_open[PROPERTY_BACKENDS], has_slot[ASKERS], is_in_line[ASKERS];

/* How many are before it, counted one by one. */
static size_t place_of(const struct balance_ticket *t)
{
    size_t before_n = 0;
    for (int i = 0; i < ASKERS; i++) {
        const struct balance_ticket *other = &askers[i].ticket;
        before_n += is_in_line[i] && (other->tag_ms < t->tag_ms || (other->tag_ms == t->tag_ms && other->sequence < t->sequence));
    }
    return before_n;
}

static void check(void)
{
    size_t waiting_n = 0, used[PROPERTY_BACKENDS] = {0};
    for (int i = 0; i < ASKERS; i++) {
        const struct balance_ticket *t = &askers[i].ticket;
        assert_int_equal(t->lane != NULL, has_slot[i] || is_in_line[i]);
        waiting_n += (size_t)is_in_line[i];
        if (has_slot[i])
            used[t->backend]++;
        else if (is_in_line[i])
            assert_true(t->backend == -1 && balance_place(b, t) == place_of(t));
    }
    assert_int_equal(balance_waiting_n(b), waiting_n);
    assert_int_equal(waiting.now_n, waiting_n);
    for (int k = 0; k < PROPERTY_BACKENDS; k++)
        assert_int_equal(balance_used_n(b, k), used[k]);
}

static void grant_all(void)
{
    struct balance_ticket *t;
    while ((t = balance_next(b, now_ms, &again_ms))) {
        int i = (int)((struct asker *)t->context - askers);
        assert_true(is_in_line[i] && !has_slot[i]);
        assert_true(is_open[t->backend] && askers[i].ways[t->backend].run_ms >= 0);
        assert_true(balance_used_n(b, t->backend) <= slots[t->backend]);
        is_in_line[i] = 0;
        has_slot[i] = 1;
    }
    assert_true(again_ms == 0 || again_ms > now_ms);
}

static void change_backend(void)
{
    static const char *const names[] = {"a", "b", "c"};
    uint32_t k = chance(PROPERTY_BACKENDS), n = chance(4);
    slots[k] = chance(4);
    is_open[k] = chance(4) > 0;
    balance_set_backend(b, (int)k, slots[k], 1 + chance(3), is_open[k]);
    balance_set_loaded(b, (int)k, names, n, now_ms - chance(2000));
}

static void change_asker(void)
{
    static const char *const names[] = {"a", "A:latest", "b", "c", "d"};
    int i = (int)chance(ASKERS);
    if (has_slot[i] || is_in_line[i]) {
        int comes_back = has_slot[i] && chance(3) == 0;
        leave(i);
        has_slot[i] = is_in_line[i] = 0;
        if (!comes_back)
            return;
    } else {
        (void)asker(i, chance(10), chance(5), 0);
        for (int k = 0; k < PROPERTY_BACKENDS; k++)
            askers[i].ways[k] = (struct balance_way){.run_ms = (int32_t)chance(5000) - 1000, .load_ms = (int32_t)chance(3000)};
    }
    is_in_line[i] = 1;
    assert_int_equal(balance_enter(b, &askers[i].ticket, names[chance(5)], askers[i].ticket.is_tagged, now_ms), BALANCE_WAIT);
    leave(ASKERS - 1); /* twice does no harm */
    has_slot[ASKERS - 1] = is_in_line[ASKERS - 1] = 0;
}

static void test_slots_are_never_exceeded_and_nobody_is_lost(void **state)
{
    (void)state;
    seed = 12345;
    for (int i = 0; i < PROPERTY_BACKENDS; i++)
        change_backend();
    for (int i = 0; i < CHANCES; i++) {
        uint32_t what = chance(20);
        if (what == 0)
            change_backend();
        else
            change_asker();
        if (what < 15)
            grant_all();
        if (what == 19)
            for (int k = 0; k < 3; k++)
                assert_true(!is_in_line[k] || balance_wait_ms(b, &askers[k].ticket, now_ms) >= 0);
        check();
        now_ms += chance(300);
    }
    for (int k = 0; k < PROPERTY_BACKENDS; k++)
        balance_set_backend(b, k, slots[k] = 1, 1, is_open[k] = 1);
    for (int i = 0; i < 200; i++) { /* with all of them open each that has a way is served */
        grant_all();
        for (int k = 0; k < ASKERS; k++)
            if (has_slot[k]) {
                leave(k);
                has_slot[k] = 0;
            }
        now_ms += 11 * SECOND;
    }
    for (int i = 0; i < ASKERS; i++)
        for (int k = 0; k < PROPERTY_BACKENDS && is_in_line[i]; k++)
            assert_true(askers[i].ways[k].run_ms < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_twenty_thousand_wait), TEST(test_slots_are_never_exceeded_and_nobody_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
