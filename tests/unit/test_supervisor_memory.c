/* supervisor/memory: who was killed for want of memory, and what is told of it. Time is the test's. */
#include "supervisor/memory.h"

#include "common/log.h"
#include "tests/unit/group_tree.h"
#include "tests/unit/stderr_pipe.h"

#include <sys/socket.h>

static struct group_tree t;
static struct loop loop;
static struct memory memory;
static struct stderr_pipe log_pipe;
static const char *owner_name;
static char log_text[65536];
static char why[MEMORY_WHY_BYTES];

static const char *owner(void *context)
{
    assert_ptr_equal(context, &memory);
    return owner_name;
}

/* All that was logged since the last time. */
static const char *take_log(void)
{
    (void)stderr_pipe_take(&log_pipe, log_text, sizeof log_text);
    return log_text;
}

static int setup(void **state)
{
    (void)state;
    owner_name = "ollama";
    group_tree_init(&t);
    stderr_pipe_begin(&log_pipe);
    log_init("supervisor", LOG_INFO, LOG_TEXT);
    memset(&memory, 0, sizeof memory);
    return loop_init(&loop);
}

static int teardown(void **state)
{
    (void)state;
    memory_fini(&memory);
    memory_fini(&memory);
    loop_fini(&loop);
    (void)take_log();
    stderr_pipe_end(&log_pipe);
    fputs(log_text, stderr); /* what cmocka had to say is in it */
    group_tree_fini(&t);
    return 0;
}

static void begin(void)
{
    memory_fini(&memory);
    memory_init(&memory, &loop, t.proc, owner, &memory);
    loop.now_ms = 1000000;
}

static void begin_v2(const char *limit)
{
    group_tree_mount(&t, "/", "v2", "cgroup2", "rw");
    group_tree_groups(&t, "0::/\n");
    group_tree_file(&t, "v2/memory.max", limit);
    group_tree_file(&t, "v2/memory.current", "1000\n");
    group_tree_file(&t, "v2/memory.events", "oom_kill 7\n");
    begin();
}

static void begin_v1(void)
{
    group_tree_mount(&t, "/", "v1", "cgroup", "rw,memory");
    group_tree_groups(&t, "4:memory:/\n");
    group_tree_file(&t, "v1/memory.limit_in_bytes", "2147483648\n");
    group_tree_file(&t, "v1/memory.oom_control", "oom_kill 0\n");
    begin();
}

static void pass(int64_t ms)
{
    for (int64_t end_ms = loop.now_ms + ms; loop.now_ms < end_ms;) {
        loop.now_ms += 10;
        timerq_run(&loop.timers, loop.now_ms);
    }
}

/* How often the words are in it. */
static unsigned logged(const char *words)
{
    unsigned n = 0;
    for (const char *at = take_log(); *words && (at = strstr(at, words)); at++)
        n++;
    return n;
}

static void test_the_limit_is_told_at_boot(void **state)
{
    (void)state;
    begin_v2("2147483648\n");
    assert_int_equal(logged(" info "), 1);
    begin_v2("max\n");
    assert_int_equal(logged(" info "), 0); /* there is none: nobody needs to know */
}

static void test_a_main_process(void **state)
{
    (void)state;
    begin_v2("2147483648\n");
    (void)logged("");
    assert_false(memory_claim(&memory, "ollama", why)); /* somebody else's SIGKILL */
    group_tree_file(&t, "v2/memory.events", "oom_kill 8\n");
    group_tree_file(&t, "v2/memory.peak", "2147483648\n");
    assert_true(memory_claim(&memory, "ollama", why));
    assert_string_equal(why, "out of memory, the limit is 2.0 GiB");
    assert_false(memory_claim(&memory, "proxy", why)); /* one kill, one death */
    const char *text = take_log();
    assert_non_null(strstr(text, " error "));
    assert_non_null(strstr(text, "oom_kill count=1 total=1 limit=\"2.0 GiB\" from=cgroup2 peak=\"2.0 GiB\" program=ollama process=main hint=\"use a smaller model"));
    pass(60000);
    assert_int_equal(logged("oom_kill"), 0);
    assert_int_equal(memory.kills_n, 1);
}

/* A runner: the counter grows, and no main process dies. */
static void test_a_child(void **state)
{
    (void)state;
    begin_v1();
    (void)logged("");
    group_tree_file(&t, "v1/memory.oom_control", "oom_kill 1\n");
    memory_look_soon(&memory);
    pass(100);
    assert_int_equal(logged("oom_kill"), 0); /* it may yet be a main process */
    pass(1000);
    assert_int_equal(logged("oom_kill count=1 total=1 limit=\"2.0 GiB\" from=cgroup1 peak=\"-\" program=ollama process=child "), 1);
    owner_name = NULL;
    group_tree_file(&t, "v1/memory.oom_control", "oom_kill 2\n");
    pass(10000);
    memory_reaped(&memory);
    pass(1000);
    assert_int_equal(logged("program=unknown process=child "), 1);
    assert_int_equal(timerq_next_ms(&loop.timers), -1); /* nothing is polled */
}

/* Its memory is given back before it can be reaped. */
static void test_a_main_process_that_is_reaped_late(void **state)
{
    (void)state;
    begin_v1();
    group_tree_file(&t, "v1/memory.oom_control", "oom_kill 1\n");
    memory_look_soon(&memory);
    pass(3000);
    assert_int_equal(logged("oom_kill count=1"), 1);
    assert_true(memory_claim(&memory, "ollama", why));
    assert_string_equal(why, "out of memory, the limit is 2.0 GiB");
    assert_false(memory_claim(&memory, "ollama", why));
    pass(60000);
    assert_int_equal(logged("oom_kill"), 0); /* not once more */
    assert_int_equal(memory.kills_n, 1);
    group_tree_file(&t, "v1/memory.oom_control", "oom_kill 2\n");
    memory_look_soon(&memory);
    pass(20000);
    assert_false(memory_claim(&memory, "ollama", why)); /* so late it was another's SIGKILL */
}

static void test_a_storm_is_bounded(void **state)
{
    (void)state;
    char line[64];
    begin_v1();
    (void)logged("");
    for (int i = 1; i <= 1000; i++) {
        snprintf(line, sizeof line, "oom_kill %d\n", i);
        group_tree_file(&t, "v1/memory.oom_control", line);
        memory_look_soon(&memory);
        pass(20);
    }
    pass(10000);
    unsigned n = logged("oom_kill count=");
    assert_true(n >= 4 && n <= 6);
    assert_int_equal(memory.kills_n, 1000);
}

static void test_a_counter_that_lies(void **state)
{
    (void)state;
    static const char *const texts[] = {"oom_kill 1152921504606846975\n", "oom_kill 0\n", "garbage", "", "oom_kill 5\n", "oom_kill 1152921504606846975\n"};
    begin_v1();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        group_tree_file(&t, "v1/memory.oom_control", texts[i]);
        memory_look_soon(&memory);
        pass(10000);
        if (memory_claim(&memory, "ollama", why))
            assert_string_equal(why, "out of memory, the limit is 2.0 GiB");
        assert_true(memory.untold_n <= 100001);
    }
    assert_true(logged("oom_kill count=") <= 8);
}

static void test_the_machines_own_counter(void **state)
{
    (void)state;
    group_tree_groups(&t, "");
    begin();
    group_tree_file(&t, "proc/vmstat", "oom_kill 4\n");
    memory_look_soon(&memory); /* a complaint says nothing of whose it was */
    pass(5000);
    assert_int_equal(logged("oom_kill count"), 0);
    assert_true(memory_claim(&memory, "ollama", why));
    assert_string_equal(why, "probably out of memory, the machine has 15 GiB");
    assert_int_equal(logged("oom_kill count=1 total=1 limit=\"15 GiB\" from=machine"), 1);
    assert_false(memory_claim(&memory, "ollama", why));
    group_tree_file(&t, "proc/vmstat", "oom_kill 9\n");
    memory_reaped(&memory); /* those were others' */
    assert_false(memory_claim(&memory, "ollama", why));
    assert_int_equal(memory.kills_n, 1);
}

static void test_nothing_can_be_read(void **state)
{
    (void)state;
    struct buf out;
    memory_init(&memory, &loop, "/no/such/folder", owner, &memory);
    memory_reaped(&memory);
    memory_look_soon(&memory);
    assert_false(memory_claim(&memory, "ollama", why));
    buf_init(&out, 0);
    assert_int_equal(memory_write(&memory, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), "{\"limit_bytes\":null,\"used_bytes\":null,\"peak_bytes\":null,\"cache_bytes\":null,\"oom_kills\":0,\"source\":\"machine\"}");
    buf_fini(&out);
}

static void test_status(void **state)
{
    (void)state;
    struct buf out;
    begin_v2("2147483648\n");
    group_tree_file(&t, "v2/memory.events", "oom_kill 9\n");
    assert_true(memory_claim(&memory, "ollama", why));
    buf_init(&out, 0);
    assert_int_equal(memory_write(&memory, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(buf_data(&out), "{\"limit_bytes\":2147483648,\"used_bytes\":1000,\"peak_bytes\":null,\"cache_bytes\":null,\"oom_kills\":2,\"source\":\"cgroup2\"}");
    buf_fini(&out);
}

/* POLLPRI, which no ordinary file raises: a socket with urgent data stands in for the kernel's file. */
static void test_news_of_v2_pause_the_watch(void **state)
{
    (void)state;
    int fds[2];
    begin_v2("2147483648\n");
    (void)logged("");
    assert_true(memory.watch_fd >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    if (send(fds[1], "!", 1, MSG_OOB) != 1) /* before Linux 5.15 */
        skip();
    assert_true(dup2(fds[0], memory.watch_fd) >= 0);
    group_tree_file(&t, "v2/memory.events", "oom_kill 8\n");
    assert_int_equal(loop_turn(&loop, 1000), 0);
    assert_int_equal(memory.watch_fd, -1); /* a group that is made to give back its cache would wake us without end */
    assert_true(timer_is_armed(&memory.settle));
    pass(1500);
    assert_true(memory.watch_fd >= 0);
    assert_int_equal(logged("oom_kill count=1 total=1 limit=\"2.0 GiB\" from=cgroup2 peak=\"-\" program=ollama process=child"), 1);
    assert_int_equal(timerq_next_ms(&loop.timers), -1);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_limit_is_told_at_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_main_process, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_child, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_main_process_that_is_reaped_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_storm_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_counter_that_lies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_machines_own_counter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_can_be_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_news_of_v2_pause_the_watch, setup, teardown),
    };
    return cmocka_run_group_tests_name("supervisor/memory", tests, NULL, NULL);
}
