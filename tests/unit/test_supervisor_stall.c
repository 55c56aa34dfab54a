/* supervisor/stall, stall_look and gpu: what is a hang, by samples; scenario 52 in the small. */
#include "supervisor/gpu.h"
#include "supervisor/stall.h"
#include "supervisor/stall_look.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { LIMIT_MS = 120000, STEP_MS = 15000 };

static struct stall s;
static struct stall_sample sample;
static uint64_t progress;
static int64_t now_ms;

static int setup(void **state)
{
    (void)state;
    stall_begin(&s);
    sample = (struct stall_sample){.is_known = 1, .cpu_ms = 5000, .read_bytes = 1 << 20};
    progress = 77;
    now_ms = 1000;
    return 0;
}

static enum stall_verdict look(void)
{
    enum stall_verdict verdict = stall_judge(&s, &sample, progress, LIMIT_MS, now_ms);
    now_ms += STEP_MS;
    return verdict;
}

/* How many looks it takes until it is hung, each after `step`; 0: not within 100. */
static int looks_until_hung(void (*step)(void))
{
    for (int n = 1; n <= 100; n++) {
        if (look() == STALL_HUNG)
            return n;
        if (step)
            step();
    }
    return 0;
}

static void test_what_stands_still_for_the_limit_is_hung(void **state)
{
    (void)state;
    assert_int_equal(looks_until_hung(NULL), 1 + LIMIT_MS / STEP_MS);
}

static void works(void)
{
    sample.cpu_ms += STEP_MS / 20; /* 5 % of a core, as on the smallest of shared machines */
}

static void ticks(void)
{
    sample.cpu_ms += STEP_MS * 45 / 10000; /* a load whose runner stands still */
}

static void test_work_in_small_pieces_is_no_hang(void **state)
{
    enum { SHORT_LIMIT_MS = 2000, SHORT_STEP_MS = 250 };
    (void)state;
    for (int n = 0; n < 100; n++) { /* 8 % of a core, as a starved one gets: none of the pieces counts by itself */
        assert_int_not_equal(stall_judge(&s, &sample, progress, SHORT_LIMIT_MS, now_ms), STALL_HUNG);
        sample.cpu_ms += 20;
        now_ms += SHORT_STEP_MS;
    }
}

static void reads(void)
{
    sample.read_bytes += 2LL * 1024 * 1024; /* from a disk of 140 kB a second */
}

static void polls(void)
{
    sample.read_bytes += 4 * 15 * 300;
}

static void uses_its_gpu(void)
{
    sample.gpu_ms += STEP_MS / 5;
}

static void answers(void)
{
    progress++;
}

static void test_work_of_any_kind_is_no_hang(void **state)
{
    static void (*const kinds[])(void) = {works, reads, uses_its_gpu, answers};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        setup(state);
        assert_int_equal(looks_until_hung(kinds[i]), 0);
    }
    setup(state);
    sample.gpu_percent = 90; /* whoever uses it */
    assert_int_equal(looks_until_hung(NULL), 0);
}

static void test_what_an_idle_ollama_does_by_itself_is_no_work(void **state)
{
    setup(state);
    assert_int_equal(looks_until_hung(ticks), 9);
    setup(state);
    assert_int_equal(looks_until_hung(polls), 9);
}

static void test_work_in_between_begins_the_time_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_not_equal(look(), STALL_HUNG);
    works();
    assert_int_equal(look(), STALL_MOVES);
    assert_int_equal(looks_until_hung(NULL), 8);
}

static void test_doubt_means_that_it_works(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        assert_int_not_equal(look(), STALL_HUNG);
    sample.is_known = 0;
    assert_int_equal(look(), STALL_MOVES);
    sample.is_known = 1;
    assert_int_equal(look(), STALL_MOVES); /* nothing to compare it with */
    assert_int_equal(looks_until_hung(NULL), 8);
    setup(state);
    look();
    sample.cpu_ms -= 1000; /* a process of them is gone */
    assert_int_equal(look(), STALL_MOVES);
}

static void test_a_gap_begins_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++)
        look();
    stall_begin(&s);
    assert_int_equal(look(), STALL_MOVES);
    assert_int_equal(look(), STALL_STILL);
}

static void test_ticks_of_chance_count_for_nothing_in_a_short_time(void **state)
{
    (void)state;
    struct stall_sample at = {.is_known = 1};
    assert_int_equal(stall_judge(&s, &at, 0, 2000, 1000), STALL_MOVES);
    at.cpu_ms += 20;
    assert_int_equal(stall_judge(&s, &at, 0, 2000, 1250), STALL_STILL);
    at.cpu_ms += 30;
    assert_int_equal(stall_judge(&s, &at, 0, 2000, 1500), STALL_MOVES);
}

static void test_times_of_engines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"pos:\t0\nflags:\t02100002\ndrm-driver:\tamdgpu\ndrm-engine-gfx:\t5000000 ns\ndrm-engine-compute:\t7500000 ns\n", 12},
        {"drm-engine-render: 9000000 ns", 9},
        {"drm-engine-capacity-render:\t4000000000\n", 0},
        {"drm-engine-render:\t-1 ns\n", 0},
        {"drm-engine-render\n", 0},
        {"x drm-engine-render: 5000000 ns\n", 0},
        {"drm-engine-a: 99999999999999999999999999 ns\n", 0},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(gpu_parse(cases[i].text), cases[i].ms);
}

static void test_bytes_that_were_read(void **state)
{
    (void)state;
    assert_int_equal(stall_look_read_bytes("rchar: 10\nwchar: 5\nsyscr: 1\nsyscw: 1\nread_bytes: 4096\nwrite_bytes: 7\ncancelled_write_bytes: 0\n"), 4106);
    assert_int_equal(stall_look_read_bytes("rchar: -4\nread_bytes: 99999999999999999999\n"), 0);
    assert_int_equal(stall_look_read_bytes(""), 0);
}

static void test_a_look_at_ourselves(void **state)
{
    (void)state;
    struct stall_sample own, nobody;
    stall_look_sample(sys_getpid(), &own);
    assert_true(own.is_known && own.cpu_ms >= 0 && own.read_bytes > 0);
    stall_look_sample(0, &nobody);
    assert_false(nobody.is_known);
}

static struct stall_sample seen;
static int told_n;

static void told(void *context, const struct stall_sample *what)
{
    (void)context;
    seen = *what;
    told_n++;
}

static void test_a_process_of_its_own_looks(void **state)
{
    (void)state;
    struct loop loop;
    struct stall_look l;
    assert_int_equal(loop_init(&loop), 0);
    stall_look_init(&l, &loop, told, NULL);
    stall_look_start(&l, sys_getpid());
    stall_look_stop(&l);
    stall_look_start(&l, sys_getpid());
    while (told_n == 0)
        assert_int_equal(loop_turn(&loop, -1), 0);
    assert_int_equal(told_n, 1);
    assert_true(seen.is_known);
    stall_look_stop(&l);
    loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_stands_still_for_the_limit_is_hung, setup),
        cmocka_unit_test_setup(test_work_in_small_pieces_is_no_hang, setup),
        cmocka_unit_test(test_work_of_any_kind_is_no_hang),
        cmocka_unit_test(test_what_an_idle_ollama_does_by_itself_is_no_work),
        cmocka_unit_test_setup(test_work_in_between_begins_the_time_anew, setup),
        cmocka_unit_test_setup(test_doubt_means_that_it_works, setup),
        cmocka_unit_test_setup(test_a_gap_begins_anew, setup),
        cmocka_unit_test_setup(test_ticks_of_chance_count_for_nothing_in_a_short_time, setup),
        cmocka_unit_test(test_times_of_engines),
        cmocka_unit_test(test_bytes_that_were_read),
        cmocka_unit_test(test_a_look_at_ourselves),
        cmocka_unit_test(test_a_process_of_its_own_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
