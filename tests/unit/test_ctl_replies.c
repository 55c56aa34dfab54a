/* ctl/status, ctl/health, ctl/ask, ctl/change: replies of every kind as text. */
#include "ctl/ask.h"
#include "ctl/change.h"
#include "ctl/health.h"
#include "ctl/status.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_text(struct buf *out, const char *text)
{
    assert_int_equal(buf_append(out, "", 1), 0);
    assert_string_equal(buf_data(out), text);
    buf_fini(out);
}

static void assert_status(const char *json, const char *text)
{
    struct buf out;
    cJSON *answer = cJSON_Parse(json);
    buf_init(&out, 0);
    assert_non_null(answer);
    assert_int_equal(status_describe(answer, 0, &out), 0);
    assert_text(&out, text);
    cJSON_Delete(answer);
}

static void test_status(void **state)
{
    (void)state;
    assert_status("{\"ok\":true,\"version\":\"0.1.0\",\"pid\":7,\"state\":\"running\",\"uptime_s\":192,"
                  "\"listen\":[\"127.0.0.1:11434\",\"[::1]:11434\"],\"backend\":\"127.0.0.1:11435\",\"programs\":["
                  "{\"name\":\"ollama\",\"state\":\"ready\",\"pid\":12,\"uptime_s\":190,\"rss_bytes\":441450496,\"cpu_ms\":12345,\"processes\":2,\"next_start_ms\":null,\"restarts\":0,\"last_exit\":\"\",\"reason\":\"\",\"required\":true},"
                  "{\"name\":\"preload\",\"state\":\"done\",\"pid\":0,\"uptime_s\":5,\"restarts\":1,\"last_exit\":\"exit 0\",\"reason\":\"bell \\u0007\",\"required\":false}]}",
                  "supervisor 0.1.0, running, pid 7, up 3m12s\n"
                  "listening on 127.0.0.1:11434, [::1]:11434, backend 127.0.0.1:11435\n"
                  "\n"
                  "PROGRAM  STATE  PID  UP     MEMORY   CPU    RESTARTS  REQUIRED  LAST EXIT\n"
                  "ollama   ready  12   3m10s  421 MiB  12.3s  0         yes       -\n"
                  "preload  done   -    -      -        -      1         no        exit 0\n"
                  "preload: bell ?\n");
}

/* What one more member of a status adds to the lines above the table. */
static void assert_member(const char *name, const char *value, const char *line)
{
    char json[512], text[512];
    snprintf(json, sizeof json, "{\"ok\":true,\"pid\":7,\"state\":\"running\",\"uptime_s\":1,\"programs\":[],\"%s\":%s}", name, value);
    snprintf(text, sizeof text, "supervisor running, pid 7, up 1s\n%s\n"
                                "PROGRAM  STATE  PID  UP  MEMORY  CPU  RESTARTS  REQUIRED  LAST EXIT\n", line);
    assert_status(json, text);
}

static void test_memory(void **state)
{
    (void)state;
    assert_member("memory", "{\"limit_bytes\":2147483648,\"used_bytes\":1288490189,\"peak_bytes\":2040109466,\"oom_kills\":2,\"source\":\"cgroup2\"}",
                  "memory 1.2 GiB of 2.0 GiB (cgroup2), peak 1.9 GiB, 2 processes killed for want of it\n");
    assert_member("memory", "{\"limit_bytes\":16384000000,\"used_bytes\":104857600,\"peak_bytes\":null,\"oom_kills\":0,\"source\":\"machine\"}",
                  "memory 100 MiB of 15 GiB (machine)\n");
    assert_member("memory", "{\"limit_bytes\":null,\"used_bytes\":\"x\",\"oom_kills\":1,\"source\":\"\\u001b\"}",
                  "memory - of - (?), 1 process killed for want of it\n");
    assert_member("memory", "[]", "");
    assert_member("memory", "7", "");
}

static void test_the_last_boot(void **state)
{
    (void)state;
    assert_member("boots", "[{\"cause\":\"start\",\"ago_s\":9,\"exec_ms\":4,\"api_ms\":180,\"models_ms\":185,\"load_ms\":9999,\"first_token_ms\":12345}]",
                  "last boot (start): exec 4ms, api 180ms, models 185ms, load 9999ms, first token 12s\n");
    assert_member("boots", "[{\"cause\":\"start\",\"exec_ms\":4},{\"cause\":\"crash\",\"exec_ms\":0,\"api_ms\":7,\"models_ms\":null}]",
                  "last boot (crash): exec 0ms, api 7ms\n");
    assert_member("boots", "[{\"cause\":\"start\",\"exec_ms\":null}]", "");
    assert_member("boots", "[{\"cause\":\"\\u001b\",\"exec_ms\":\"x\",\"load_ms\":-3,\"first_token_ms\":1}]", "last boot (?): first token 1ms\n");
    assert_member("boots", "[]", "");
    assert_member("boots", "[7]", "");
    assert_member("boots", "\"x\"", "");
}

static void test_models_that_engines_serve(void **state)
{
    (void)state;
    assert_status("{\"ok\":true,\"pid\":7,\"state\":\"running\",\"uptime_s\":1,\"programs\":[],\"instances\":["
                  "{\"model\":\"org/name\",\"engine\":\"vllm\",\"state\":\"ready\",\"pid\":12,\"port\":41234,\"quantized\":false,\"uptime_s\":190,"
                  "\"load_ms\":61234,\"rss_bytes\":441450496,\"cpu_ms\":12345,\"reason\":\"\"},"
                  "{\"model\":\"an-organisation/of-a-very-long-name-indeed\",\"engine\":\"transformers\",\"state\":\"failed\",\"pid\":0,\"port\":0,\"load_ms\":null,"
                  "\"rss_bytes\":null,\"cpu_ms\":null,\"reason\":\"exit code 1: bell \\u0007\"}]}",
                  "supervisor running, pid 7, up 1s\n\n"
                  "PROGRAM  STATE  PID  UP  MEMORY  CPU  RESTARTS  REQUIRED  LAST EXIT\n"
                  "\n"
                  "MODEL                             ENGINE        STATE   PORT   PID  UP     MEMORY   CPU    LOAD\n"
                  "org/name                          vllm          ready   41234  12   3m10s  421 MiB  12.3s  1m01s\n"
                  "an-organisation/of-a-very-long-…  transformers  failed  0      -    -      -        -      -\n"
                  "an-organisation/of-a-very-long-name-indeed: exit code 1: bell ?\n");
    assert_member("instances", "[]", "");
    assert_member("instances", "7", "");
    assert_member("instances", "{}", "");
}

static void test_status_of_a_stranger(void **state)
{
    (void)state;
    assert_status("{\"ok\":true,\"pid\":[],\"uptime_s\":1e300,\"listen\":7,\"programs\":[{\"name\":{},\"pid\":-4,\"restarts\":\"many\"},3]}",
                  "supervisor state unknown, pid -, up -\n"
                  "\n"
                  "PROGRAM  STATE  PID  UP  MEMORY  CPU  RESTARTS  REQUIRED  LAST EXIT\n"
                  "-        -      -    -   -       -    many      -         -\n"
                  "-        -      -    -   -       -    -         -         -\n");
}

static void test_status_stays_within_a_hundred_columns(void **state)
{
    (void)state;
    assert_status("{\"ok\":true,\"version\":\"1\",\"pid\":7,\"state\":\"running\",\"uptime_s\":1,\"programs\":["
                  "{\"name\":\"a-program-of-a-very-long-näme\",\"state\":\"starting\",\"pid\":4194304,\"uptime_s\":86399,"
                  "\"rss_bytes\":1073741823000,\"cpu_ms\":86399999,\"restarts\":4294967295,\"required\":true,"
                  "\"last_exit\":\"killed by signal 11 (Segmentation fault), and then some\",\"reason\":\"\"},"
                  "{\"name\":\"b\",\"state\":\"backoff\",\"pid\":0,\"restarts\":3,\"required\":false,\"next_start_ms\":2450,"
                  "\"last_exit\":\"exit code 3\",\"reason\":\"exit code 3: the address 127.0.0.1:11434 is taken by another process, "
                  "which was told in so many words that this line is a long one\"},"
                  "{\"name\":\"c\",\"state\":\"backoff\",\"next_start_ms\":0,\"reason\":\"\"}]}",
                  "supervisor 1, running, pid 7, up 1s\n"
                  "\n"
                  "PROGRAM           STATE     PID      UP      MEMORY    CPU     RESTARTS    REQUIRED  LAST EXIT\n"
                  "a-program-of-a-…  starting  4194304  23h59m  1000 GiB  23h59m  4294967295  yes       killed by sign…\n"
                  "b                 backoff   -        -       -         -       3           no        exit code 3\n"
                  "c                 backoff   -        -       -         -       -           -         -\n"
                  "b: exit code 3: the address 127.0.0.1:11434 is taken by another process, which was told in so many\n"
                  "  words that this line is a long one; starts again in 2.4s\n"
                  "c: starts again in 0.0s\n");
}

static void assert_health(long http_status, const char *body, const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(health_describe(http_status, body, strlen(body), 0, &out), 0);
    assert_text(&out, text);
}

static void test_health(void **state)
{
    (void)state;
    assert_health(200, "{\"status\":\"ok\",\"state\":\"ready\",\"waiting_for\":[],\"models\":{\"ready\":[\"a\"],\"pulling\":[],\"failed\":[]}}",
                  "ok, ready\n");
    assert_health(200, "{\"status\":\"ok\",\"requests\":{\"in_flight\":4,\"queued\":3}}", "ok; 3 in line\n");
    assert_health(200, "{\"status\":\"ok\",\"requests\":{\"queued\":\"3\"}}", "ok\n");
    assert_health(200, "{\"status\":\"ok\",\"requests\":{\"queued\":-1e300}}", "ok\n");
    assert_health(503,
                  "{\"status\":\"starting\",\"state\":\"pulling\",\"waiting_for\":[\"model a\",\"model b\"],\"models\":{"
                  "\"pulling\":[{\"name\":\"a\",\"completed\":42,\"total\":100},{\"name\":\"b\",\"completed\":0,\"total\":0}],"
                  "\"failed\":[{\"name\":\"c\",\"reason\":\"no such \\u001b[1mmodel\"},{\"name\":\"d\"}]},\"error\":\"not yet\"}",
                  "starting, pulling; waiting for model a, model b; pulling a 42 %, b; failed: c (no such ?[1mmodel), d; not yet\n");
    assert_health(200, "{}", "ok (HTTP 200)\n");
    assert_health(503, "{\"error\":\"waking\"}", "not ok (HTTP 503); waking\n");
    assert_health(502, "<html>\n", "not ok (HTTP 502: <html>?)\n");
    assert_health(200, "", "ok (HTTP 200)\n");
    assert_health(503, "{\"status\":7,\"waiting_for\":{\"a\":[]},\"models\":[1,2],\"state\":null}", "not ok (HTTP 503)\n");
}

static void test_the_last_object_of_a_reply_counts(void **state)
{
    (void)state;
    static const struct {
        const char *reply, *x;
    } cases[] = {
        {"{\"x\":\"1\"}\n", "1"},        {"{\"x\":\"1\"}", "1"}, {"{\"x\":\"1\"}\n{\"x\":\"2\"}\n", "2"},
        {"{\"x\":\"1\"}\njunk\n\n", "1"}, {"[]\nnull\n", NULL},    {"HTTP/1.1 400 Bad Request\r\n", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf reply;
        buf_init(&reply, 0);
        assert_int_equal(buf_text(&reply, cases[i].reply), 0);
        cJSON *object = ask_parse(&reply);
        if (cases[i].x)
            assert_string_equal(ask_text(object, "x"), cases[i].x);
        else
            assert_null(object);
        assert_string_equal(ask_text(object, "absent"), "");
        cJSON_Delete(object);
        buf_fini(&reply);
    }
}

static void test_names_that_would_break_the_line(void **state)
{
    (void)state;
    char long_name[200];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_true(change_is_name("proxy"));
    assert_true(change_is_name("my-prog_2.x"));
    assert_false(change_is_name(""));
    assert_false(change_is_name("a b"));
    assert_false(change_is_name("a\nstop ollama"));
    assert_false(change_is_name("\033"));
    assert_false(change_is_name(long_name));
}

/* A supervisor of one answer, in a process of its own. */
static pid_t serve(const char *path, const char *expected, const char *reply)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 4), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0) {
        close(fd);
        return child;
    }
    char line[256] = "";
    int client = accept(fd, NULL, NULL);
    for (size_t n = 0; n + 1 < sizeof line && !strchr(line, '\n') && read(client, line + n, 1) == 1;)
        line[++n] = '\0';
    int is_written = 1;
    for (const char *c = reply; *c; c++)
        is_written = is_written && write(client, c, 1) == 1;
    _exit(strcmp(line, expected) == 0 && is_written ? 0 : 1);
}

static void test_a_question_and_its_answer(void **state)
{
    (void)state;
    char folder[] = "/tmp/ctl-test-XXXXXX", path[64];
    struct buf reply;
    int status = 0;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/control.sock", folder);
    buf_init(&reply, 64);
    assert_int_equal(ask_raw(path, "status", &reply), -ENOENT);
    pid_t child = serve(path, "start proxy\n", "{\"ok\":true}\n");
    assert_int_equal(ask_raw(path, "start proxy", &reply), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_text(&reply, "{\"ok\":true}\n");
    buf_init(&reply, 64);
    assert_int_equal(ask_raw(path, "status", &reply), -ECONNREFUSED);
    unlink(path);
    child = serve(path, "status\n", "");
    assert_int_equal(ask_raw(path, "status", &reply), -EPROTO);
    waitpid(child, &status, 0);
    unlink(path);
    child = serve(path, "status\n", "more than the sixty-four bytes that this buffer takes, and then some more of them");
    assert_int_equal(ask_raw(path, "status", &reply), -EFBIG);
    waitpid(child, &status, 0);
    unlink(path);
    rmdir(folder);
    buf_fini(&reply);
}

static void test_a_path_that_is_too_long(void **state)
{
    (void)state;
    struct buf reply;
    char path[200];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    buf_init(&reply, 0);
    assert_int_equal(ask_raw(path, "status", &reply), -ENAMETOOLONG);
    assert_int_equal(ask_raw("", "status", &reply), -ENAMETOOLONG);
    buf_fini(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_the_last_boot),
        cmocka_unit_test(test_models_that_engines_serve),
        cmocka_unit_test(test_status_of_a_stranger),
        cmocka_unit_test(test_status_stays_within_a_hundred_columns),
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_the_last_object_of_a_reply_counts),
        cmocka_unit_test(test_names_that_would_break_the_line),
        cmocka_unit_test(test_a_question_and_its_answer),
        cmocka_unit_test(test_a_path_that_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
