/* proxy/observe/feed: who looks on is told when something changes, not more often than he takes it, and by one text for all. */
#include "proxy/observe/feed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct loop loop;
static struct feed *feed;
static uint64_t state;
static unsigned written_n;
static int write_error;

struct ear {
    struct feed_listener listener;
    unsigned told_n, pings_n;
    int is_stuck;
};
static struct ear ears[FEED_LISTENERS_MAX + 1];

static uint64_t look(void *context)
{
    (void)context;
    return state;
}

static int write_it(void *context, struct buf *out)
{
    (void)context;
    written_n++;
    return write_error ? write_error : buf_text(out, "event: status\ndata: {}\n\n");
}

static int hear(void *context, const char *bytes, size_t bytes_n)
{
    struct ear *e = context;
    if (e->is_stuck)
        return 0;
    e->pings_n += bytes_n == 8 && bytes[0] == ':';
    e->told_n += bytes[0] == 'e';
    return 1;
}

static int enter(size_t i)
{
    ears[i] = (struct ear){.listener = {.tell = hear, .context = &ears[i], .address = i % 2 ? "192.0.2.1" : "::1"}};
    return feed_enter(feed, &ears[i].listener);
}

/* So much time passes, a second at a time. */
static void pass(int seconds)
{
    for (int i = 0; i < seconds; i++) {
        loop.now_ms += FEED_LOOK_MS;
        feed->timer.fn(feed->timer.context, loop.now_ms);
    }
}

static int setup(void **unused)
{
    (void)unused;
    state = 1;
    written_n = 0;
    write_error = 0;
    assert_int_equal(loop_init(&loop), 0);
    return feed_new(&feed, &loop, &(struct feed_ops){look, write_it, NULL});
}

static int teardown(void **unused)
{
    (void)unused;
    for (size_t i = 0; i <= FEED_LISTENERS_MAX; i++)
        if (feed->listeners_n > 0)
            feed_leave(feed, &ears[i].listener);
    assert_false(timer_is_armed(&feed->timer)); /* nothing is done while nobody looks */
    feed_free(&feed);
    loop_fini(&loop);
    return 0;
}

static void test_one_text_for_all_at_once_and_when_something_changes(void **unused)
{
    (void)unused;
    assert_int_equal(enter(0), 0);
    assert_int_equal(enter(1), 0);
    assert_int_equal(ears[0].told_n, 1);
    assert_int_equal(ears[1].told_n, 1);
    pass(1);
    assert_int_equal(ears[0].told_n, 1); /* nothing has changed */
    written_n = 0;
    state = 2;
    pass(1);
    assert_int_equal(written_n, 1);
    assert_int_equal(ears[0].told_n, 2);
    assert_int_equal(ears[1].told_n, 2);
    pass(4);
    assert_int_equal(ears[0].told_n, 2);
    pass(1);
    assert_int_equal(ears[0].told_n, 3); /* five seconds */
}

static void test_who_does_not_take_it_is_passed_over_and_told_later(void **unused)
{
    (void)unused;
    assert_int_equal(enter(0), 0);
    assert_int_equal(enter(1), 0);
    ears[0].is_stuck = 1;
    state = 2;
    pass(1);
    assert_int_equal(ears[0].told_n, 1);
    assert_int_equal(ears[1].told_n, 2);
    ears[0].is_stuck = 0;
    state = 3;
    pass(1);
    assert_int_equal(ears[0].told_n, 2);
}

static void test_who_is_told_nothing_is_pinged(void **unused)
{
    (void)unused;
    assert_int_equal(enter(0), 0);
    write_error = -ENOMEM;
    pass(FEED_PING_MS / FEED_LOOK_MS - 1);
    assert_int_equal(ears[0].pings_n, 0);
    pass(1);
    assert_int_equal(ears[0].pings_n, 1);
    pass(1);
    assert_int_equal(ears[0].pings_n, 1);
}

static void test_there_are_not_too_many_and_who_leaves_makes_room(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < FEED_LISTENERS_MAX; i++)
        assert_int_equal(enter(i), 0);
    assert_int_equal(feed_has_room(feed, "192.0.2.2"), -EBUSY);
    feed_leave(feed, &ears[4].listener);
    feed_leave(feed, &ears[4].listener);
    assert_int_equal(feed_has_room(feed, "192.0.2.2"), 0);
    assert_int_equal(enter(FEED_LISTENERS_MAX), 0);
    state = 2;
    pass(1);
    assert_int_equal(ears[4].told_n, 1);
    assert_int_equal(ears[3].told_n, 2);
}

static void test_one_address_leaves_room_for_others(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < 2 * FEED_OF_ADDRESS_MAX; i += 2)
        assert_int_equal(enter(i), 0);
    assert_int_equal(enter(FEED_LISTENERS_MAX), -EDQUOT);
    assert_int_equal(enter(1), 0);
    feed_leave(feed, &ears[0].listener);
    assert_int_equal(enter(0), 0);
}

static void test_without_memory_nobody_enters(void **unused)
{
    (void)unused;
    write_error = -ENOMEM;
    assert_int_equal(enter(0), -ENOMEM);
    assert_int_equal(feed->listeners_n, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_one_text_for_all_at_once_and_when_something_changes),
        CASE(test_who_does_not_take_it_is_passed_over_and_told_later),
        CASE(test_who_is_told_nothing_is_pinged),
        CASE(test_there_are_not_too_many_and_who_leaves_makes_room),
        CASE(test_one_address_leaves_room_for_others),
        CASE(test_without_memory_nobody_enters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
