/* common/diag: one line a mistake, whatever is in it, and the word that was probably meant. */
#include "common/diag.h"

#include "tests/unit/stderr_pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_text(const struct diag *d, const char *text)
{
    assert_int_equal(buf_size(&d->text), strlen(text));
    assert_memory_equal(buf_data(&d->text), text, strlen(text));
}

static void test_a_mistake_has_its_place(void **state)
{
    (void)state;
    struct diag d;
    diag_init(&d);
    diag_add(&d, DIAG_ERROR, "a.ini", 7, "%s is %d", "x", 3);
    diag_add(&d, DIAG_WARNING, "PORT", 0, "odd");
    assert_text(&d, "a.ini:7: error: x is 3\nPORT: warning: odd\n");
    assert_int_equal(d.errors_n, 1);
    assert_int_equal(d.warnings_n, 1);
    diag_fini(&d);
}

static void test_control_characters_reach_no_terminal(void **state)
{
    (void)state;
    struct diag d;
    diag_init(&d);
    diag_add(&d, DIAG_ERROR, "SIDECAR_\033[2J", 0, "%s", "a\nb\033[31mc\x7f\r\t.");
    assert_text(&d, "SIDECAR_?[2J: error: a?b?[31mc?? .\n");
    diag_fini(&d);
}

static void test_c1_controls_reach_no_terminal(void **state)
{
    (void)state;
    struct diag d;
    diag_init(&d);
    diag_add(&d, DIAG_ERROR, "x", 0, "%s", "\xc2\x9b" "2J caf\xc3\xa9");
    assert_null(memmem(buf_data(&d.text), buf_size(&d.text), "\xc2\x9b", 2));
    assert_non_null(memmem(buf_data(&d.text), buf_size(&d.text), "caf\xc3\xa9", 5));
    diag_fini(&d);
}

static void test_a_flood_of_mistakes_is_bounded_and_counted(void **state)
{
    (void)state;
    struct diag d;
    char long_text[3000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    diag_init(&d);
    for (int i = 0; i < 3000; i++)
        diag_add(&d, DIAG_ERROR, "f", i + 1, "%s", long_text);
    assert_int_equal(d.errors_n, 3000);
    assert_true(buf_size(&d.text) <= 1 << 20);
    assert_int_equal(buf_data(&d.text)[buf_size(&d.text) - 1], '\n'); /* no half line */
    diag_fini(&d);
}

static void test_printing_empties_and_keeps_the_counters(void **state)
{
    (void)state;
    struct diag d;
    struct stderr_pipe pipe_;
    char out[256];
    diag_init(&d);
    diag_add(&d, DIAG_ERROR, "f", 1, "one");
    diag_add(&d, DIAG_ERROR, "f", 2, "two");
    stderr_pipe_begin(&pipe_);
    diag_print(&d);
    stderr_pipe_take(&pipe_, out, sizeof out);
    stderr_pipe_end(&pipe_);
    assert_string_equal(out, "f:1: error: one\nf:2: error: two\n");
    assert_int_equal(d.errors_n, 2);
    assert_int_equal(buf_size(&d.text), 0);
    diag_fini(&d);
}

static void test_a_pipe_that_nobody_reads_holds_nobody_up(void **state)
{
    (void)state;
    struct diag d;
    struct stderr_pipe pipe_;
    diag_init(&d);
    for (int i = 0; i < 3000; i++)
        diag_add(&d, DIAG_WARNING, "f", i + 1, "more than a pipe of 64 KB can take");
    stderr_pipe_begin(&pipe_);
    diag_print(&d); /* comes back */
    stderr_pipe_end(&pipe_);
    assert_int_equal(buf_size(&d.text), 0);
    diag_fini(&d);
}

static void test_the_nearest_word(void **state)
{
    (void)state;
    static const char *const words[] = {"listen", "backend", "idle_timeout", "idle_action", "max_queue", "file", NULL};
    static const struct {
        const char *typed, *nearest; /* NULL: nothing is near */
    } cases[] = {
        {"listen", "listen"},       {"lisen", "listen"},      {"listne", "listen"},       {"litsen", "listen"},
        {"backed", "backend"},      {"idle_timout", "idle_timeout"}, {"idle-timeout", "idle_timeout"},
        {"idleaction", "idle_action"}, {"maxqueue", "max_queue"}, {"fil", "file"},
        {"zzzzzzzz", NULL},         {"", NULL},               {"timeout", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *nearest = diag_nearest(cases[i].typed, words);
        if (cases[i].nearest && nearest)
            assert_string_equal(nearest, cases[i].nearest);
        else if (cases[i].nearest || nearest)
            fail_msg("%s: %s", cases[i].typed, nearest ? nearest : "nothing");
    }
    static const char *const none[] = {NULL};
    assert_null(diag_nearest("x", none));
}

static void test_a_word_without_end_is_near_to_nothing(void **state)
{
    (void)state;
    static const char *const words[] = {"listen", NULL};
    char typed[70000];
    memset(typed, 'l', sizeof typed - 1);
    typed[sizeof typed - 1] = '\0';
    assert_null(diag_nearest(typed, words));
    typed[64] = '\0';
    assert_null(diag_nearest(typed, words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_mistake_has_its_place),
        cmocka_unit_test(test_control_characters_reach_no_terminal),
        cmocka_unit_test(test_c1_controls_reach_no_terminal),
        cmocka_unit_test(test_a_flood_of_mistakes_is_bounded_and_counted),
        cmocka_unit_test(test_printing_empties_and_keeps_the_counters),
        cmocka_unit_test(test_a_pipe_that_nobody_reads_holds_nobody_up),
        cmocka_unit_test(test_the_nearest_word),
        cmocka_unit_test(test_a_word_without_end_is_near_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
