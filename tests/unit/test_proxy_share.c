/* One answer, many readers: each gets every byte from the first on, at his own pace, and none holds the others for long. */
#include "proxy/share.h"

#include "tests/unit/scratch.h"

static const unsigned char key[SHARE_KEY_BYTES] = "of one";

enum { KEEP = 1000, READERS = 7 };

static char block[4 * SHARE_HIGH_BYTES];

static size_t unread_n(const struct share *s, const struct share_reader *r)
{
    size_t n;
    share_unread(s, r, &n);
    return n;
}

/* The nth byte of the answer. */
static char byte_at(uint64_t n)
{
    return (char)('a' + n % 23);
}

static void make(struct share *s, uint64_t *made, size_t n)
{
    for (size_t i = 0; i < n; i++)
        block[i] = byte_at(*made + i);
    assert_int_equal(share_append(s, block, n), 0);
    *made += n;
}

static void take(struct share *s, struct share_reader *r, size_t most)
{
    size_t n;
    const char *bytes = share_unread(s, r, &n);
    n = n < most ? n : most;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(bytes[i], byte_at(r->read_bytes + i));
    share_read(r, n);
}

static void test_each_reads_all_at_its_own_pace(void **state)
{
    struct share s;
    struct share_reader readers[READERS];
    uint64_t made = 0;
    (void)state;
    share_init(&s, key, KEEP);
    for (int i = 0; i < READERS; i++)
        share_join(&s, &readers[i], &readers[i]);
    unsigned chance = 1;
    while (made < 20 * KEEP) {
        make(&s, &made, (chance >> 8) % 97);
        for (int i = 0; i < READERS; i++, chance = chance * 1103515245 + 12345)
            take(&s, &readers[i], (chance >> 8) % (size_t)(20 + 20 * i));
        share_review(&s, 1);
        assert_true(s.start_bytes == 0 || made > KEEP);
    }
    share_end(&s);
    for (int i = 0; i < READERS; i++)
        take(&s, &readers[i], SIZE_MAX);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(readers[i].read_bytes, made);
        share_leave(&s, &readers[i]);
        share_leave(&s, &readers[i]); /* harmless */
    }
    assert_int_equal(s.readers_n, 0);
    share_fini(&s);
}

static void test_it_may_be_joined_while_its_start_is_kept(void **state)
{
    struct shares all = {{0}};
    struct share s, other;
    struct share_reader a, b;
    uint64_t made = 0;
    unsigned char another[SHARE_KEY_BYTES] = "of one"; /* in the same bucket */
    (void)state;
    another[SHARE_KEY_BYTES - 1] = 1;
    share_init(&other, another, KEEP);
    shares_add(&all, &other);
    share_init(&s, key, KEEP);
    assert_null(shares_find(&all, key));
    shares_add(&all, &s);
    assert_ptr_equal(shares_find(&all, key), &s);
    assert_ptr_equal(shares_find(&all, another), &other);
    share_join(&s, &a, NULL);
    make(&s, &made, KEEP);
    take(&s, &a, SIZE_MAX);
    share_review(&s, 1);
    assert_ptr_equal(shares_find(&all, key), &s); /* all that it has had is there still */
    share_join(&s, &b, NULL);
    take(&s, &b, 10);
    make(&s, &made, 1);
    take(&s, &a, SIZE_MAX);
    share_review(&s, 1);
    assert_int_equal(s.start_bytes, 10);
    assert_null(shares_find(&all, key));
    take(&s, &b, SIZE_MAX);
    share_leave(&s, &a);
    share_review(&s, 1);
    assert_int_equal(buf_size(&s.bytes), 0);
    shares_remove(&all, &s);
    shares_remove(&all, &s);
    assert_ptr_equal(shares_find(&all, another), &other);
    shares_remove(&all, &other);
    share_leave(&s, &b);
    share_fini(&s);
    share_fini(&other);
}

static void test_what_has_ended_is_joined_by_nobody(void **state)
{
    struct shares all = {{0}};
    struct share s;
    const struct inner_failure f = {.status = 502, .text = "gone", .lines = "Retry-After: 5\r\n"};
    (void)state;
    for (int is_failed = 0; is_failed < 2; is_failed++) {
        share_init(&s, key, KEEP);
        shares_add(&all, &s);
        if (is_failed)
            share_fail(&s, &f);
        else
            share_end(&s);
        assert_null(shares_find(&all, key));
        shares_remove(&all, &s);
        assert_string_equal(is_failed ? s.failure.text : "gone", "gone");
        assert_string_equal(is_failed ? s.failure.lines : f.lines, f.lines);
        share_fini(&s);
    }
}

static void test_of_a_private_one_nothing_is_kept(void **state)
{
    struct share s;
    struct share_reader r;
    uint64_t made = 0;
    (void)state;
    share_init(&s, NULL, KEEP);
    share_join(&s, &r, NULL);
    make(&s, &made, 10);
    take(&s, &r, 4);
    share_review(&s, 1);
    assert_int_equal(s.start_bytes, 4);
    make(&s, &made, SHARE_HIGH_BYTES);
    assert_true(share_pending_bytes(&s) > SHARE_HIGH_BYTES);
    share_review(&s, 5);
    assert_true(s.is_held);
    assert_int_equal(share_next_ms(&s, 1000), 0); /* it waits for itself */
    take(&s, &r, SIZE_MAX);
    share_review(&s, 6);
    assert_false(s.is_held);
    assert_null(s.bytes.bytes); /* and nobody's memory */
    share_leave(&s, &r);
    share_fini(&s);
}

static void test_who_holds_the_others_has_a_time(void **state)
{
    struct share s;
    struct share_reader quick, slow, as_slow;
    uint64_t made = 0;
    (void)state;
    share_init(&s, key, KEEP);
    share_join(&s, &quick, NULL);
    share_join(&s, &slow, NULL);
    make(&s, &made, KEEP + SHARE_HIGH_BYTES);
    take(&s, &quick, SIZE_MAX);
    share_review(&s, 10);
    assert_int_equal(share_pending_bytes(&s), SHARE_HIGH_BYTES); /* just as far behind as one may be */
    assert_int_equal(share_next_ms(&s, 100), 0);
    make(&s, &made, 1);
    share_review(&s, 20);
    assert_true(share_pending_bytes(&s) > SHARE_HIGH_BYTES);
    assert_int_equal(share_next_ms(&s, 100), 120);
    assert_false(share_is_stalled(&slow, 100, 119));
    assert_true(share_is_stalled(&slow, 100, 120));
    assert_false(share_is_stalled(&quick, 100, 120));
    take(&s, &slow, SHARE_HIGH_BYTES - SHARE_LOW_BYTES);
    share_review(&s, 30);
    assert_int_equal(share_next_ms(&s, 100), 120); /* it goes on to hold them */
    take(&s, &slow, 1);
    share_review(&s, 40);
    assert_int_equal(share_next_ms(&s, 100), 0);
    make(&s, &made, SHARE_HIGH_BYTES);
    share_join(&s, &as_slow, NULL); /* its start is gone; for this test it reads on from where the slowest is */
    as_slow.read_bytes = slow.read_bytes;
    share_leave(&s, &quick);
    share_review(&s, 50);
    assert_int_equal(share_next_ms(&s, 100), 0); /* both are: nobody waits for one of them alone */
    share_leave(&s, &as_slow);
    share_review(&s, 60);
    assert_int_equal(share_next_ms(&s, 100), 0); /* alone it may be as slow as it likes */
    assert_true(unread_n(&s, &slow) > 0);
    share_leave(&s, &slow);
    share_fini(&s);
}

static void test_progress_is_one_line(void **state)
{
    struct share s;
    (void)state;
    share_init(&s, NULL, 0);
    assert_string_equal(s.progress, "");
    share_set_progress(&s, "mapped 3\nof 8");
    assert_string_equal(s.progress, "mapped 3?of 8");
    memset(block, 'x', 1000);
    block[1000] = '\0';
    share_set_progress(&s, block);
    assert_int_equal(strlen(s.progress), SHARE_PROGRESS_BYTES - 1);
    share_fini(&s);
}

static void test_what_is_lent_is_read_as_what_is_made(void **state)
{
    struct share s;
    struct share_reader slow;
    (void)state;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = byte_at(i);
    share_init(&s, NULL, 0);
    share_join(&s, &slow, &slow);
    share_lend(&s, block, sizeof block);
    assert_int_equal(s.state, SHARE_WHOLE);
    for (int64_t now_ms = 1; unread_n(&s, &slow) > 0; now_ms++) {
        share_review(&s, now_ms);
        assert_false(s.is_held);
        assert_int_equal(share_next_ms(&s, 1), 0); /* nobody else waits */
        take(&s, &slow, 1000);
    }
    assert_int_equal(slow.read_bytes, sizeof block);
    share_leave(&s, &slow);
    share_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_reads_all_at_its_own_pace),
        cmocka_unit_test(test_it_may_be_joined_while_its_start_is_kept),
        cmocka_unit_test(test_what_has_ended_is_joined_by_nobody),
        cmocka_unit_test(test_of_a_private_one_nothing_is_kept),
        cmocka_unit_test(test_who_holds_the_others_has_a_time),
        cmocka_unit_test(test_progress_is_one_line),
        cmocka_unit_test(test_what_is_lent_is_read_as_what_is_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
