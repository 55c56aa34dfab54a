/* supervisor/output: what programs write becomes lines of ours, whatever they write. */
#include "supervisor/output.h"

#include "common/log.h"
#include "tests/unit/stderr_pipe.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct loop loop;
static struct output output;
static struct stderr_pipe heard;
static char text[65536];
static int fd; /* the program's end */

static int setup(void **state)
{
    (void)state;
    log_init("unit", LOG_DEBUG, LOG_TEXT);
    if (loop_init(&loop) < 0)
        return -1;
    output_init(&output, &loop, "child");
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
    assert_string_equal(output.last, "and more");
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
    assert_non_null(strstr(text, " warning child output panic: no\n"));
    assert_string_equal(output.last, "panic: no");
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
    assert_string_equal(output.last, "three");
}

static void test_what_the_program_calls_bad_is_a_warning(void **state)
{
    (void)state;
    static const char *const bad[] = {"time=x level=WARN msg=y\n", "level=ERROR\n", "level=FATAL\n", "Error: no\n",
                                      "panic: y\n", "fatal error: z\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        listen_to(bad[i], strlen(bad[i]), 0);
        assert_non_null(strstr(text, " warning child output "));
    }
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
    }
    says("\nafter\n", 7);
    turn();
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
    assert_int_equal(lines(), 2);
    assert_true(strcspn(text, "\n") < 1200);
    assert_non_null(strstr(text, "output after\n"));
    assert_string_equal(output.last, "after");
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
    assert_non_null(strstr(text, "output a?b?[2Jc?\xff\n"));
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
    assert_int_equal(strlen(output.last), OUTPUT_LAST_BYTES - 1);
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
    size_t fds_n = loop.fds_n;
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
    assert_string_equal(output.last, "");
    SAYS("ne\n", 0);
    assert_non_null(strstr(text, "output ne\n"));
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_line_becomes_a_line_in_the_programs_name),
        CASE(test_a_line_in_pieces_is_one_line),
        CASE(test_the_last_words_need_no_line_end),
        CASE(test_what_is_still_in_the_pipe_at_the_end_is_read),
        CASE(test_what_the_program_calls_bad_is_a_warning),
        CASE(test_a_line_of_a_megabyte_is_cut_once),
        CASE(test_lines_around_the_limit_are_whole),
        CASE(test_a_cut_line_at_the_end_is_not_told_twice),
        CASE(test_nul_bytes_and_escape_codes_are_harmless),
        CASE(test_last_words_are_bounded),
        CASE(test_an_end_of_file_is_seen_once_and_does_not_spin),
        CASE(test_a_grandchild_that_holds_the_pipe_holds_nobody_up),
        CASE(test_a_flood_is_read_in_portions),
        CASE(test_the_next_process_starts_with_a_clean_line),
    };
    (void)sys_signal_ignore(13); /* SIGPIPE, as the supervisor does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
