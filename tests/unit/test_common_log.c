/* common/log: one line an event, valid JSON, no terminal's command in it, and never a wait. */
#include "common/log.h"

#include "tests/unit/in_child.h"
#include "tests/unit/stderr_pipe.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void test_a_line_has_time_level_module_and_event(void **state)
{
    (void)state;
    struct stderr_pipe p;
    char out[1024];
    log_init("unit", LOG_INFO, LOG_TEXT);
    stderr_pipe_begin(&p);
    log_event(LOG_INFO, "state", "from=%s to=%s", "down", "ready");
    log_event_for("child", LOG_ERROR, "output", "%s", "");
    log_event(LOG_DEBUG, "hidden", "%d", 1);
    stderr_pipe_take(&p, out, sizeof out);
    stderr_pipe_end(&p);
    assert_int_equal(strlen("2026-01-02T03:04:05.678Z"), strcspn(out, " "));
    assert_int_equal(out[10], 'T');
    assert_int_equal(out[23], 'Z');
    char *next = strchr(out, '\n');
    assert_non_null(next);
    *next++ = '\0';
    assert_string_equal(out + 24, " info unit state from=down to=ready");
    assert_string_equal(next + 24, " error child output\n");
    assert_true(log_is_on(LOG_WARNING));
    assert_false(log_is_on(LOG_DEBUG));
}

static const char nasty[] = "a\nb\r\033[2Jc\x07\x7f\ttab \xc2\x9b" "31m caf\xc3\xa9 \xff \"q\" \\ \xe2\x80\xa8.";

static void assert_is_harmless(const char *line)
{
    for (const char *c = line; *c && *c != '\n'; c++)
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
    assert_null(strstr(line, "\xc2\x9b"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1); /* one line */
}

static void test_control_characters_are_neutralised_in_text(void **state)
{
    (void)state;
    struct stderr_pipe p;
    char out[1024];
    log_init("unit", LOG_INFO, LOG_TEXT);
    stderr_pipe_begin(&p);
    log_event(LOG_INFO, "output", "%s", nasty);
    stderr_pipe_take(&p, out, sizeof out);
    stderr_pipe_end(&p);
    assert_is_harmless(out);
    assert_non_null(strstr(out, "a?b??[2Jc?? tab "));
    assert_non_null(strstr(out, "caf\xc3\xa9"));
}

/* The message of one JSON line; fails where it is no JSON object. */
static void assert_json_message(const char *line, char *message, size_t message_n)
{
    const char *end = NULL;
    cJSON *o = cJSON_ParseWithOpts(line, &end, 0);
    if (!o)
        fail_msg("no JSON: %s", line);
    assert_string_equal(end, "\n");
    assert_string_equal(cJSON_GetObjectItem(o, "module")->valuestring, "unit");
    assert_non_null(cJSON_GetObjectItem(o, "ts"));
    assert_non_null(cJSON_GetObjectItem(o, "level"));
    assert_non_null(cJSON_GetObjectItem(o, "event"));
    snprintf(message, message_n, "%s", cJSON_GetObjectItem(o, "message")->valuestring);
    cJSON_Delete(o);
}

static void log_json(const char *text, char *out, size_t out_n)
{
    struct stderr_pipe p;
    log_init("unit", LOG_INFO, LOG_JSON);
    stderr_pipe_begin(&p);
    log_event(LOG_INFO, "output", "%s", text);
    stderr_pipe_take(&p, out, out_n);
    stderr_pipe_end(&p);
}

static void test_json_lines_are_json_whatever_is_said(void **state)
{
    (void)state;
    char out[16384], message[8192];
    log_json(nasty, out, sizeof out);
    assert_is_harmless(out);
    assert_json_message(out, message, sizeof message);
    assert_non_null(strstr(message, "\"q\" \\ "));
    log_json("", out, sizeof out);
    assert_json_message(out, message, sizeof message);
    assert_string_equal(message, "");
}

static void test_long_lines_are_cut_and_told_all_the_same(void **state)
{
    (void)state;
    static const char fillers[] = {'x', '"', '\xff', '\\', '\xc3'};
    for (size_t i = 0; i < sizeof fillers; i++) {
        char text[100000], out[16384], message[8192];
        struct stderr_pipe p;
        memset(text, fillers[i], sizeof text - 1);
        text[sizeof text - 1] = '\0';
        log_json(text, out, sizeof out);
        assert_json_message(out, message, sizeof message);
        assert_true(strlen(message) > 500); /* not dropped */
        assert_true(strlen(out) <= PIPE_BUF); /* one write, whole or not at all: pipe(7) */
        log_init("unit", LOG_INFO, LOG_TEXT);
        stderr_pipe_begin(&p);
        log_event(LOG_INFO, "output", "%s", text);
        stderr_pipe_take(&p, out, sizeof out);
        stderr_pipe_end(&p);
        assert_is_harmless(out);
        assert_true(strlen(out) <= LOG_LINE_BYTES && strlen(out) > 500);
    }
}

/* Fills the pipe but for this many pages, and leaves it blocking. */
static void fill(struct stderr_pipe *p, int free_pages)
{
    static const char page[4096];
    char out[4096];
    int fd = p->fds[1], flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while (write(fd, page, sizeof page) > 0)
        continue;
    for (int i = 0; i < free_pages; i++)
        if (read(p->fds[0], out, sizeof out) != (ssize_t)sizeof out)
            abort();
    (void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

static void drain(struct stderr_pipe *p)
{
    char out[4096];
    while (read(p->fds[0], out, sizeof out) > 0)
        continue;
}

static void test_a_full_pipe_does_not_block_and_the_loss_is_told(void **state)
{
    (void)state;
    static const enum log_format formats[] = {LOG_TEXT, LOG_JSON};
    for (size_t i = 0; i < 2; i++) {
        struct stderr_pipe p;
        char out[8192];
        log_init("unit", LOG_INFO, formats[i]);
        stderr_pipe_begin(&p);
        fill(&p, 0);
        alarm(10); /* a write that waits would wait for ever */
        for (int k = 0; k < 3; k++)
            log_event(LOG_ERROR, "lost", "n=%d", k);
        alarm(0);
        drain(&p);
        log_event(LOG_INFO, "found", "n=1");
        log_event(LOG_INFO, "found", "n=2");
        stderr_pipe_take(&p, out, sizeof out);
        stderr_pipe_end(&p);
        char *told = strstr(out, "log_dropped");
        assert_non_null(told);
        assert_non_null(strstr(told, "lines=3"));
        assert_null(strstr(told + 1, "log_dropped")); /* once */
        assert_non_null(strstr(told, "n=2"));
        assert_null(strstr(out, "lost"));
    }
}

static void test_a_nearly_full_pipe_does_not_block_either(void **state)
{
    (void)state;
    static const enum log_format formats[] = {LOG_TEXT, LOG_JSON};
    char text[4000];
    memset(text, '"', sizeof text - 1); /* two bytes each in JSON */
    text[sizeof text - 1] = '\0';
    for (size_t i = 0; i < 2; i++) {
        struct stderr_pipe p;
        log_init("unit", LOG_INFO, formats[i]);
        stderr_pipe_begin(&p);
        fill(&p, 1);
        alarm(10);
        log_event(LOG_ERROR, "long", "%s", text);
        log_event(LOG_ERROR, "long", "%s", text);
        log_event(LOG_ERROR, "long", "%s", text);
        alarm(0);
        drain(&p);
        log_event(LOG_INFO, "again", "%s", "");
        drain(&p);
        stderr_pipe_end(&p);
    }
}

struct terminal {
    int ours, theirs;
};

/* In a process of its own: what is opened for the log stays open. */
static void talk_to_a_terminal_that_stands_still(void *context)
{
    const struct terminal *t = context;
    char out[8192];
    CHILD_CHECK(dup2(t->theirs, STDERR_FILENO) == STDERR_FILENO);
    log_init("unit", LOG_INFO, LOG_TEXT);
    log_open_stream();
    alarm(10); /* a write that waits would wait for ever, and the parent sees the signal */
    for (int k = 0; k < 2000; k++)
        log_event(LOG_ERROR, "lost", "n=%d and more text than fits the terminal's own small buffer", k);
    alarm(0);
    CHILD_CHECK((fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0);
    CHILD_CHECK(fcntl(t->ours, F_SETFL, O_NONBLOCK) == 0);
    while (read(t->ours, out, sizeof out) > 0)
        continue;
    log_event(LOG_INFO, "found", "n=1");
    log_event(LOG_INFO, "found", "n=2");
    ssize_t n = 0, more;
    while ((more = read(t->ours, out + n, sizeof out - 1 - (size_t)n)) > 0)
        n += more;
    CHILD_CHECK(n > 0);
    out[n] = '\0';
    const char *line = out + strspn(out, "\r\n"); /* the rest of the line that was cut is lost; this one is whole */
    CHILD_CHECK(strncmp(line, "20", 2) == 0);
    const char *told = strstr(line, " log_dropped lines="), *end = strchr(line, '\n');
    CHILD_CHECK(told && end && told < end);
    CHILD_CHECK(strstr(end, "found n=1") && strstr(end, "found n=2"));
}

/* scenario 55 */
static void test_a_terminal_that_stands_still_does_not_block(void **state)
{
    (void)state;
    struct terminal t = {.ours = posix_openpt(O_RDWR | O_NOCTTY)};
    assert_true(t.ours >= 0 && grantpt(t.ours) == 0 && unlockpt(t.ours) == 0);
    t.theirs = open(ptsname(t.ours), O_RDWR | O_NOCTTY);
    assert_true(t.theirs >= 0);
    assert_int_equal(in_child(talk_to_a_terminal_that_stands_still, &t), 0);
    (void)close(t.ours);
    (void)close(t.theirs);
}

/* In a process of its own, as above. */
static void talk_to_a_pipe_that_is_full(void *context)
{
    struct stderr_pipe *p = context;
    char out[8192], theirs[64], ours[64];
    stderr_pipe_begin(p);
    log_init("unit", LOG_INFO, LOG_TEXT);
    log_open_stream();
    int is_blocking = (fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0, has_own = 0;
    ssize_t theirs_n = readlink("/proc/self/fd/2", theirs, sizeof theirs);
    for (int fd = 3; fd < 64 && !has_own; fd++) {
        char path[32];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        int flags = fcntl(fd, F_GETFL);
        has_own = flags >= 0 && (flags & O_NONBLOCK) && (flags & O_ACCMODE) == O_WRONLY &&
                  readlink(path, ours, sizeof ours) == theirs_n && memcmp(ours, theirs, (size_t)theirs_n) == 0;
    }
    fill(p, 0);
    alarm(10);
    for (int k = 0; k < 2000; k++)
        log_whole_line("lost\n", 5);
    log_whole_line(NULL, 0);
    alarm(0);
    drain(p);
    log_whole_line("found\n", 6);
    stderr_pipe_take(p, out, sizeof out);
    stderr_pipe_end(p);
    CHILD_CHECK(is_blocking && has_own);
    char *told = strstr(out, "log_dropped lines=2001\n");
    CHILD_CHECK(told && strcmp(strchr(told, '\n'), "\nfound\n") == 0);
}

/* Between a look at a pipe and a write another process may fill it: what is written through does not wait even then. */
static void test_a_pipe_that_others_fill_does_not_block(void **state)
{
    (void)state;
    struct stderr_pipe p;
    assert_int_equal(in_child(talk_to_a_pipe_that_is_full, &p), 0);
}

static void test_a_closed_stderr_is_survived(void **state)
{
    (void)state;
    int saved_fd = dup(STDERR_FILENO);
    assert_true(saved_fd >= 0);
    log_init("unit", LOG_INFO, LOG_TEXT);
    (void)close(STDERR_FILENO);
    log_event(LOG_INFO, "nobody", "%s", "hears");
    assert_int_equal(dup2(saved_fd, STDERR_FILENO), STDERR_FILENO);
    (void)close(saved_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_has_time_level_module_and_event),
        cmocka_unit_test(test_control_characters_are_neutralised_in_text),
        cmocka_unit_test(test_json_lines_are_json_whatever_is_said),
        cmocka_unit_test(test_long_lines_are_cut_and_told_all_the_same),
        cmocka_unit_test(test_a_full_pipe_does_not_block_and_the_loss_is_told),
        cmocka_unit_test(test_a_nearly_full_pipe_does_not_block_either),
        cmocka_unit_test(test_a_terminal_that_stands_still_does_not_block),
        cmocka_unit_test(test_a_pipe_that_others_fill_does_not_block),
        cmocka_unit_test(test_a_closed_stderr_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
