/* supervisor/announce and supervisor/naming: a model's name by its blob, found without waiting. */
#include "supervisor/announce.h"

#include "common/log.h"
#include "supervisor/naming.h"
#include "tests/unit/scratch.h"
#include "tests/unit/stderr_pipe.h"

#include <errno.h>
#include <ftw.h>
#include <sys/wait.h>

#define DIGEST "c1d97a160fb962d0169ed045bac921c0903cfa75c632c3285fd12ba2ab7723bb"

static struct scratch scratch;
static struct loop loop;
static struct announce announce;
static struct announce_room room;
static const char *program = "ollama";
static struct stderr_pipe heard;
static char text[8192];

static int setup(void **state)
{
    (void)state;
    scratch_init(&scratch);
    log_init("unit", LOG_INFO, LOG_TEXT);
    if (loop_init(&loop) < 0)
        return -1;
    memset(&room, 'x', sizeof room); /* as the program before left it */
    announce_init(&announce, &loop, &room, &program);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    (void)st;
    (void)kind;
    (void)place;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    announce_fini(&announce);
    loop_fini(&loop);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    return nftw(scratch.dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* FOLDER/manifests/PATH with this text, and the folders above it. */
static void manifest(const char *path, const char *json)
{
    char whole[SCRATCH_PATH_BYTES], name[200];
    snprintf(name, sizeof name, "manifests/%.180s", path);
    scratch_path(&scratch, name, whole);
    for (char *slash = strchr(whole + strlen(scratch.dir) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(whole, 0755);
        *slash = '/';
    }
    scratch_text(&scratch, name, json);
}

#define OURS "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"application/vnd.ollama.image.model\",\"digest\":\"sha256:" DIGEST "\",\"size\":1}]}"

static const char *name_of(const char *digest)
{
    static char name[RUNNER_NAME_BYTES];
    return naming_find(scratch.dir, digest, name, sizeof name) ? name : NULL;
}

static void test_names_as_ollama_shows_them(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"registry.ollama.ai/library/llama3.2/1b", "llama3.2:1b"},
        {"registry.ollama.ai/liuhaotian/llava/latest", "liuhaotian/llava:latest"},
        {"hf.co/org/Model-GGUF/Q4_K_M", "hf.co/org/Model-GGUF:Q4_K_M"},
        {"localhost:5000/library/x/y", "localhost:5000/library/x:y"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_null(name_of(DIGEST));
        manifest(cases[i][0], OURS);
        assert_string_equal(name_of(DIGEST), cases[i][1]);
        manifest(cases[i][0], "{}");
    }
}

static void test_the_one_that_mentions_it(void **state)
{
    (void)state;
    assert_null(name_of(DIGEST)); /* no folder at all */
    manifest("registry.ollama.ai/library/a/1", "{\"digest\":\"sha256:0000\"}");
    manifest("registry.ollama.ai/library/b/2", OURS);
    manifest("registry.ollama.ai/library/c/3", "");
    assert_string_equal(name_of(DIGEST), "b:2");
    assert_null(name_of("0000000000000000000000000000000000000000000000000000000000000000"));
}

static void test_of_several_the_shortest(void **state)
{
    (void)state;
    manifest("registry.ollama.ai/library/mine/latest", OURS);
    manifest("registry.ollama.ai/library/b/2", OURS);
    manifest("registry.ollama.ai/library/a/2", OURS);
    manifest("registry.ollama.ai/me/a/2", OURS);
    assert_string_equal(name_of(DIGEST), "a:2");
}

static void test_odd_folders(void **state)
{
    (void)state;
    char from[SCRATCH_PATH_BYTES], to[SCRATCH_PATH_BYTES];
    manifest("registry.ollama.ai/library/e\033[31mvil/1", OURS); /* a name that is none */
    manifest("registry.ollama.ai/library/two words/1", OURS);
    manifest("registry.ollama.ai/library/.hidden/1", OURS);
    manifest("registry.ollama.ai/library/too/deep/1", OURS);
    manifest("registry.ollama.ai/shallow", OURS);
    assert_null(name_of(DIGEST));
    snprintf(from, sizeof from, "%.300s/manifests/registry.ollama.ai/library/loop", scratch.dir);
    snprintf(to, sizeof to, "%.300s/manifests", scratch.dir);
    assert_int_equal(symlink(to, from), 0);
    assert_null(name_of(DIGEST));
    manifest("registry.ollama.ai/library/ok/1", OURS);
    assert_string_equal(name_of(DIGEST), "ok:1");
}

static void say(const char *folder, const char *options)
{
    char line[1024];
    snprintf(line, sizeof line, "time=x level=INFO msg=\"starting llama server\" cmd=\"/o runner --model %.300s/blobs/sha256-" DIGEST " %s\"",
             folder, options);
    announce_line(&announce, line);
}

static void wait_until_told(void)
{
    while (announce.fd >= 0)
        if (loop_turn(&loop, -1) < 0)
            abort();
}

static void hear(void)
{
    stderr_pipe_begin(&heard);
}

static void heard_all(void)
{
    stderr_pipe_take(&heard, text, sizeof text);
    stderr_pipe_end(&heard);
}

static void test_a_runner_is_told_with_its_name(void **state)
{
    (void)state;
    manifest("registry.ollama.ai/library/llama3.2/1b", OURS);
    hear();
    say(scratch.dir, "--ctx-size 2048 --batch-size 512 --parallel 1");
    wait_until_told();
    heard_all();
    assert_non_null(strstr(text, " info ollama runner model=llama3.2:1b parallel=1 mmap=yes context=2048 batch=512\n"));
    assert_ptr_equal(strchr(text, '\n') + 1, text + strlen(text)); /* one line */
}

static void test_without_a_manifest_the_digest(void **state)
{
    (void)state;
    hear();
    say("/nonexistent", "--ctx-size 2048 --no-mmap --parallel 2");
    wait_until_told();
    heard_all();
    assert_non_null(strstr(text, " runner model=sha256-c1d97a160fb9 parallel=2 mmap=no context=1024\n"));
}

static void test_a_disk_that_hangs_is_not_waited_for(void **state)
{
    (void)state;
    char path[SCRATCH_PATH_BYTES];
    manifest("registry.ollama.ai/library/a/1", "{}");
    scratch_path(&scratch, "manifests/registry.ollama.ai/library/a/slow", path);
    assert_int_equal(mkfifo(path, 0600), 0); /* open(2) waits for a writer that never comes */
    hear();
    int64_t began_ms = sys_monotonic_ms();
    say(scratch.dir, "--ctx-size 2048 --parallel 1");
    int64_t took_ms = sys_monotonic_ms() - began_ms;
    wait_until_told();
    int64_t told_ms = sys_monotonic_ms() - began_ms;
    int status = 0;
    pid_t looker = waitpid(-1, &status, 0); /* it has ended itself */
    heard_all();
    assert_true(took_ms < 500);
    assert_true(told_ms >= 1900 && told_ms < 6000);
    assert_true(looker > 0 && WIFSIGNALED(status));
    assert_non_null(strstr(text, " runner model=sha256-c1d97a160fb9 "));
}

static void test_one_after_the_other_each_is_told_once(void **state)
{
    (void)state;
    manifest("registry.ollama.ai/library/a/1", OURS);
    hear();
    for (int i = 1; i <= 20; i++) {
        char options[64];
        snprintf(options, sizeof options, "--ctx-size %d --parallel 1", i);
        say(scratch.dir, options);
    }
    wait_until_told();
    heard_all();
    int lines_n = 0;
    for (const char *c = text; *c; c++)
        lines_n += *c == '\n';
    assert_int_equal(lines_n, 20);
    for (int i = 1; i <= 20; i++) {
        char want[64];
        snprintf(want, sizeof want, " context=%d\n", i);
        assert_non_null(strstr(text, want));
    }
}

static void test_what_is_not_found_yet_is_told_at_the_end(void **state)
{
    (void)state;
    hear();
    say("/nonexistent", "--ctx-size 64 --parallel 1");
    announce_fini(&announce);
    heard_all();
    assert_non_null(strstr(text, " runner model=sha256-c1d97a160fb9 "));
    assert_int_equal(loop.watches.fds_n, 1); /* a gap that the next turn closes */
    assert_int_equal(loop_turn(&loop, 0), 0);
    assert_int_equal(loop.watches.fds_n, 0);
}

static void test_mlx_needs_no_look(void **state)
{
    (void)state;
    hear();
    announce_line(&announce, "time=x msg=\"starting mlx runner subprocess\" model=qwen3:4b port=1");
    heard_all();
    assert_int_equal(announce.fd, -1);
    assert_non_null(strstr(text, " info ollama runner model=qwen3:4b engine=mlx\n"));
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_names_as_ollama_shows_them),
        CASE(test_the_one_that_mentions_it),
        CASE(test_of_several_the_shortest),
        CASE(test_odd_folders),
        CASE(test_a_runner_is_told_with_its_name),
        CASE(test_without_a_manifest_the_digest),
        CASE(test_a_disk_that_hangs_is_not_waited_for),
        CASE(test_one_after_the_other_each_is_told_once),
        CASE(test_what_is_not_found_yet_is_told_at_the_end),
        CASE(test_mlx_needs_no_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
