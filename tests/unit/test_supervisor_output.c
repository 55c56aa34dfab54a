/* supervisor/output: what programs write becomes lines of ours, whatever they write; scenarios 53 to 56 in the small. */
#include "supervisor/output.h"

#include "common/log.h"
#include "tests/unit/stderr_pipe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct loop loop;
static struct output output;
static struct output_room room;
static struct stderr_pipe heard;
static char text[65536];
static int fd; /* the program's end */

static int setup(void **state)
{
    (void)state;
    log_init("unit", LOG_DEBUG, LOG_TEXT);
    if (loop_init(&loop) < 0)
        return -1;
    memset(&room, 'x', sizeof room); /* as the program before left it */
    output_init(&output, &loop, &room, NULL, "child", 0);
    fd = output_open(&output);
    return fd < 0 ? fd : 0;
}

static int teardown(void **state)
{
    (void)state;
    sys_close(fd);
    output_close(&output);
    loop_fini(&loop);
    log_init("unit", LOG_INFO, LOG_TEXT);
    return 0;
}

static void says(const void *bytes, size_t bytes_n)
{
    if (sys_write(fd, bytes, bytes_n) != (ssize_t)bytes_n)
        abort();
}

static void turn(void)
{
    if (loop_turn(&loop, 0) < 0)
        abort();
}

/* Until reading goes on again. */
static void sit_out_the_pause(void)
{
    while (output.is_paused)
        if (loop_turn(&loop, -1) < 0)
            abort();
}

/* Runs and gives back what was logged, in text. */
static void listen_to(const void *bytes, size_t bytes_n, int is_over)
{
    stderr_pipe_begin(&heard);
    says(bytes, bytes_n);
    turn();
    if (is_over)
        output_close(&output);
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
}

#define SAYS(literal, is_over) listen_to(literal, sizeof(literal) - 1, is_over)

static unsigned lines(void)
{
    unsigned n = 0;
    for (const char *c = text; *c; c++)
        n += *c == '\n';
    return n;
}

static void test_a_line_becomes_a_line_in_the_programs_name(void **state)
{
    (void)state;
    SAYS("hello world\nand more\r\n\n\r\n", 0);
    assert_int_equal(lines(), 2); /* empty ones say nothing */
    assert_non_null(strstr(text, " debug child output hello world\n"));
    assert_non_null(strstr(text, " debug child output and more\n"));
    assert_string_equal(output.last.text, "and more");
}

static void test_a_line_in_pieces_is_one_line(void **state)
{
    (void)state;
    SAYS("hel", 0);
    assert_string_equal(text, "");
    SAYS("lo", 0);
    assert_string_equal(text, "");
    SAYS(" world\nnext", 0);
    assert_int_equal(lines(), 1);
    assert_non_null(strstr(text, "output hello world\n"));
}

static void test_the_last_words_need_no_line_end(void **state)
{
    (void)state;
    SAYS("panic: no", 1);
    assert_int_equal(lines(), 1);
    assert_non_null(strstr(text, " error child output panic: no\n"));
    assert_string_equal(output.last.text, "panic: no");
    assert_int_equal(output.fd, -1);
}

static void test_what_is_still_in_the_pipe_at_the_end_is_read(void **state)
{
    (void)state;
    stderr_pipe_begin(&heard);
    says("one\ntwo\nthree", 13); /* no turn in between: it died at once */
    output_close(&output);
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
    assert_int_equal(lines(), 3);
    assert_string_equal(output.last.text, "three");
}

static void test_what_the_program_calls_bad_is_told_so(void **state)
{
    (void)state;
    static const char *const bad[] = {"level=ERROR\n", "level=FATAL\n", "Error: no\n", "panic: y\n", "fatal error: z\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        listen_to(bad[i], strlen(bad[i]), 0);
        assert_non_null(strstr(text, " error child output "));
    }
    SAYS("time=x level=WARN msg=y\n", 0);
    assert_non_null(strstr(text, " warning child output "));
    SAYS("time=x level=INFO msg=fine\n", 0);
    assert_non_null(strstr(text, " debug child output "));
}

static void test_a_line_of_a_megabyte_is_cut_once(void **state)
{
    (void)state;
    static char big[32768];
    memset(big, 'x', sizeof big);
    stderr_pipe_begin(&heard);
    for (int i = 0; i < 32; i++) {
        says(big, sizeof big);
        turn();
        sit_out_the_pause();
    }
    says("\nafter\n", 7);
    turn();
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
    assert_int_equal(lines(), 2);
    assert_true(strcspn(text, "\n") < 1200);
    assert_non_null(strstr(text, "output after\n"));
    assert_string_equal(output.last.text, "after");
}

static void test_lines_around_the_limit_are_whole(void **state)
{
    (void)state;
    for (size_t n = OUTPUT_LINE_BYTES - 3; n <= OUTPUT_LINE_BYTES + 2; n++) {
        char line[OUTPUT_LINE_BYTES + 16];
        memset(line, 'y', n);
        line[n] = '\n';
        listen_to(line, n + 1, 0);
        size_t kept_n = n < OUTPUT_LINE_BYTES ? n : OUTPUT_LINE_BYTES - 1;
        assert_int_equal(lines(), 1);
        assert_int_equal(strlen(strstr(text, "output ") + 7), kept_n + 1);
    }
}

static void test_a_cut_line_at_the_end_is_not_told_twice(void **state)
{
    (void)state;
    char line[3000];
    memset(line, 'z', sizeof line);
    listen_to(line, sizeof line, 1);
    assert_int_equal(lines(), 1);
}

static void test_nul_bytes_and_escape_codes_are_harmless(void **state)
{
    (void)state;
    SAYS("a\0b\033[2Jc\x07\xff\n", 0);
    assert_int_equal(lines(), 1);
    assert_non_null(strstr(text, "output a?bc??\n"));
    SAYS("\0\n", 0);
    assert_non_null(strstr(text, "output ?\n"));
}

static void test_last_words_are_bounded(void **state)
{
    (void)state;
    char line[800];
    memset(line, 'w', sizeof line);
    line[799] = '\n';
    listen_to(line, sizeof line, 0);
    assert_int_equal(strlen(output.last.text), LAST_WORDS_BYTES - 1);
}

static void test_an_end_of_file_is_seen_once_and_does_not_spin(void **state)
{
    (void)state;
    stderr_pipe_begin(&heard);
    says("bye", 3);
    sys_close(fd);
    fd = -1;
    turn();
    turn();
    int is_closed = output.fd == -1;
    size_t fds_n = loop.watches.fds_n;
    output_close(&output); /* the program is reaped later */
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
    assert_true(is_closed);
    assert_int_equal(fds_n, 0);
    assert_int_equal(lines(), 1);
    assert_non_null(strstr(text, "output bye\n"));
}

static void test_a_grandchild_that_holds_the_pipe_holds_nobody_up(void **state)
{
    (void)state;
    SAYS("last\nwords", 1); /* our end of the pipe is still open: somebody else's too */
    assert_int_equal(output.fd, -1);
    assert_int_equal(lines(), 2);
    assert_int_equal(sys_write(fd, "x", 1), -EPIPE);
}

static void test_a_flood_is_read_in_portions(void **state)
{
    (void)state;
    static char big[60000];
    memset(big, '\n', sizeof big);
    stderr_pipe_begin(&heard);
    says(big, sizeof big);
    turn(); /* others have their turn between */
    stderr_pipe_end(&heard);
    struct pollfd more = {.fd = output.fd, .events = POLLIN};
    assert_int_equal(poll(&more, 1, 0), 1);
    turn();
    assert_int_equal(poll(&more, 1, 0), 0);
}

static void test_the_next_process_starts_with_a_clean_line(void **state)
{
    (void)state;
    SAYS("half a li", 1);
    sys_close(fd);
    fd = output_open(&output);
    assert_true(fd >= 0);
    assert_string_equal(output.last.text, "");
    SAYS("ne\n", 0);
    assert_non_null(strstr(text, "output ne\n"));
}

static void test_a_progress_bar_is_what_stands_there_in_the_end(void **state)
{
    (void)state;
    SAYS("pulling 10%\rpulling 20%\r\033[Kpulling 30%\nnext\r\r\n\r\n", 0);
    assert_int_equal(lines(), 2);
    assert_non_null(strstr(text, "output pulling 30%\n"));
    assert_non_null(strstr(text, "output next\n"));
    SAYS("at the e", 0);
    SAYS("nd\r", 0);
    SAYS("over", 1);
    assert_int_equal(lines(), 1);
    assert_non_null(strstr(text, "output over\n"));
}

static void test_a_bar_that_never_ends_its_line_takes_no_room(void **state)
{
    (void)state;
    stderr_pipe_begin(&heard);
    for (int i = 0; i < 1000; i++) {
        says("0123456789012345678901234567890123456789\r", 41);
        turn();
    }
    says("done\n", 5);
    turn();
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
    assert_int_equal(lines(), 1);
    assert_non_null(strstr(text, "output done\n"));
}

static void test_a_line_of_escape_codes_alone_says_nothing(void **state)
{
    (void)state;
    SAYS("\033[2J\033[H\n \t \n", 0);
    assert_int_equal(lines(), 0);
    assert_string_equal(output.last.text, "");
}

/* n lines, each told by its number. */
static void says_numbers(unsigned n)
{
    char line[32];
    for (unsigned i = 0; i < n; i++)
        says(line, (size_t)snprintf(line, sizeof line, "line %u\n", i));
}

static void test_lines_beyond_the_rate_are_dropped_and_counted(void **state)
{
    (void)state;
    output_reconfigure(&output, "child", 10); /* at once: 50 */
    bucket_init(&output.lines, 10, 50, loop_now_ms(&loop));
    stderr_pipe_begin(&heard);
    says_numbers(200);
    turn();
    while (timer_is_armed(&output.tell)) /* a second */
        if (loop_turn(&loop, -1) < 0)
            abort();
    says("after\n", 6);
    turn();
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
    assert_int_equal(lines(), 52);
    assert_non_null(strstr(text, "output line 49\n"));
    assert_null(strstr(text, "output line 50\n"));
    const char *note = strstr(text, " warning unit output_dropped program=child lines=150\n");
    assert_non_null(note);
    assert_non_null(strstr(note, "output after\n"));
}

static void test_what_was_dropped_is_told_at_the_end_too(void **state)
{
    (void)state;
    output_reconfigure(&output, "child", 1);
    stderr_pipe_begin(&heard);
    says_numbers(20);
    turn();
    output_close(&output);
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
    assert_non_null(strstr(text, "output_dropped program=child lines="));
    assert_false(timer_is_armed(&output.tell));
}

static void test_lines_that_are_not_shown_take_nothing_from_the_rate(void **state)
{
    (void)state;
    log_init("unit", LOG_WARNING, LOG_TEXT);
    bucket_init(&output.lines, 10, 50, loop_now_ms(&loop));
    stderr_pipe_begin(&heard);
    says_numbers(1000);
    says("Error: told\n", 12);
    turn();
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
    assert_int_equal(lines(), 1);
    assert_int_equal(output.dropped_n, 0);
}

static void test_who_writes_without_end_waits_in_its_pipe(void **state)
{
    (void)state;
    static char big[32768];
    memset(big, 'x', sizeof big);
    for (size_t i = 1; i < sizeof big; i += 2)
        big[i] = '\n';
    log_init("unit", LOG_ERROR, LOG_TEXT);
    says(big, sizeof big);
    for (int i = 0; i < 8 && !output.is_paused; i++)
        turn();
    assert_true(output.is_paused);
    for (int i = 0; i < 3; i++)
        turn();
    struct pollfd more = {.fd = output.fd, .events = POLLIN};
    assert_int_equal(poll(&more, 1, 0), 1); /* not all was read */
    int64_t began_ms = sys_monotonic_ms();
    sit_out_the_pause();
    assert_true(sys_monotonic_ms() - began_ms < 1000);
    turn();
}

static void test_a_program_that_ends_in_a_pause_is_heard_to_the_end(void **state)
{
    (void)state;
    static char big[32768];
    memset(big, 'x', sizeof big);
    for (size_t i = 1; i < sizeof big; i += 2)
        big[i] = '\n';
    log_init("unit", LOG_ERROR, LOG_TEXT);
    says(big, sizeof big);
    for (int i = 0; i < 8 && !output.is_paused; i++)
        turn();
    assert_true(output.is_paused);
    says("Error: the end", 14);
    sys_close(fd);
    fd = -1;
    turn(); /* the hang-up is not told, so nothing spins, unless the machine was away until the pause was over */
    assert_true(loop.watches.fds_n == 0 || !output.is_paused);
    stderr_pipe_begin(&heard);
    output_close(&output);
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
    assert_non_null(strstr(text, " error child output Error: the end\n"));
    assert_false(timer_is_armed(&output.resume));
}

static void test_all_lines_are_kept_also_those_that_are_not_shown(void **state)
{
    (void)state;
    struct ring ring;
    struct ring_cursor at = {0};
    struct ring_record record;
    uint64_t lost_n;
    ring_init(&ring);
    output.ring = &ring;
    log_init("unit", LOG_ERROR, LOG_TEXT);
    SAYS("one\nError: \033[31mtwo\n", 0);
    assert_int_equal(ring_next(&ring, &at, &record, &lost_n), 1);
    assert_string_equal(record.line, "one");
    assert_string_equal(record.name, "child");
    assert_int_equal(record.level, LOG_DEBUG);
    assert_int_equal(ring_next(&ring, &at, &record, &lost_n), 1);
    assert_string_equal(record.line, "Error: two");
    assert_int_equal(record.level, LOG_ERROR);
    assert_int_equal(ring_next(&ring, &at, &record, &lost_n), 0);
    output.ring = NULL;
    ring_fini(&ring);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_line_becomes_a_line_in_the_programs_name),
        CASE(test_a_line_in_pieces_is_one_line),
        CASE(test_the_last_words_need_no_line_end),
        CASE(test_what_is_still_in_the_pipe_at_the_end_is_read),
        CASE(test_what_the_program_calls_bad_is_told_so),
        CASE(test_a_line_of_a_megabyte_is_cut_once),
        CASE(test_lines_around_the_limit_are_whole),
        CASE(test_a_cut_line_at_the_end_is_not_told_twice),
        CASE(test_nul_bytes_and_escape_codes_are_harmless),
        CASE(test_last_words_are_bounded),
        CASE(test_an_end_of_file_is_seen_once_and_does_not_spin),
        CASE(test_a_grandchild_that_holds_the_pipe_holds_nobody_up),
        CASE(test_a_flood_is_read_in_portions),
        CASE(test_the_next_process_starts_with_a_clean_line),
        CASE(test_a_progress_bar_is_what_stands_there_in_the_end),
        CASE(test_a_bar_that_never_ends_its_line_takes_no_room),
        CASE(test_a_line_of_escape_codes_alone_says_nothing),
        CASE(test_lines_beyond_the_rate_are_dropped_and_counted),
        CASE(test_what_was_dropped_is_told_at_the_end_too),
        CASE(test_lines_that_are_not_shown_take_nothing_from_the_rate),
        CASE(test_who_writes_without_end_waits_in_its_pipe),
        CASE(test_a_program_that_ends_in_a_pause_is_heard_to_the_end),
        CASE(test_all_lines_are_kept_also_those_that_are_not_shown),
    };
    (void)sys_signal_ignore(13); /* SIGPIPE, as the supervisor does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
