/* supervisor/last_words, slog and trouble: which line of a crash is its reason, and what of it the page tells. The outputs are
 * those of Ollama 0.9.5 and of programs that were made to crash. */
#include "supervisor/last_words.h"
#include "supervisor/level.h"
#include "supervisor/slog.h"
#include "supervisor/trouble.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AT "time=2026-11-22T01:07:08.463Z level="

static const struct {
    const char *lines[12]; /* up to the first NULL */
    const char *reason;
} crashes[] = {
    {{"Listening", "panic: runtime error: invalid memory address or nil pointer dereference",
      "[signal SIGSEGV: segmentation violation code=0x1 addr=0x10 pc=0x9c3f2a]", "goroutine 1 [running]:",
      "github.com/ollama/ollama/server.(*Scheduler).load(0xc0001)", "\t/build/server/sched.go:489 +0x1b8", "exit status 2"},
     "panic: runtime error: invalid memory address or nil pointer dereference"},
    {{"runtime: out of memory: cannot allocate 4194304-byte block (201326592 in use)", "fatal error: out of memory", "runtime stack:",
      "runtime.throw({0x1c2b1a7?, 0x0?})", "\t/usr/local/go/src/runtime/panic.go:1101 +0x48"},
     "fatal error: out of memory"},
    {{"SIGSEGV: segmentation violation", "PC=0x4b8601 m=0 sigcode=0 addr=0x2451", "goroutine 0 gp=0x20b3ea0 m=0 [idle]:",
      "runtime.futex(0x20b5ed8, 0x80, 0x0, 0x0, 0x0, 0x0)"},
     "SIGSEGV: segmentation violation"},
    {{"llama_context: n_ctx = 4096", "/go/src/ml/backend/ggml/ggml/src/ggml.c:2703: GGML_ASSERT(ggml_can_mul_mat(a, b)) failed",
      "SIGABRT: abort", "PC=0x7f2a m=5 sigcode=18446744073709551610"},
     "/go/src/ml/backend/ggml/ggml/src/ggml.c:2703: GGML_ASSERT(ggml_can_mul_mat(a, b)) failed"},
    {{"CUDA error: out of memory", "  current device: 0, in function alloc at ggml-cuda.cu:489",
      "/build/ggml/src/ggml-cuda/ggml-cuda.cu:75: CUDA error", "SIGSEGV: segmentation violation"},
     "CUDA error: out of memory"},
    {{"Couldn't find '/root/.ollama/id_ed25519'. Generating new private key.",
      "Error: listen tcp 127.0.0.1:11434: bind: address already in use"},
     "Error: listen tcp 127.0.0.1:11434: bind: address already in use"},
    {{AT "INFO source=x.go:1 msg=\"starting llama server\"",
      AT "ERROR source=sched.go:489 msg=\"error loading llama server\" error=\"llama runner process has terminated: signal: killed\"",
      "[GIN] 2026/11/22 - 11:10:19 | 500 |  268.652256ms |       127.0.0.1 | POST     \"/api/embed\""},
     "error loading llama server: llama runner process has terminated: signal: killed"},
    {{"terminate called after throwing an instance of 'std::runtime_error'", "  what():  no backend"},
     "terminate called after throwing an instance of 'std::runtime_error'"},
    {{"Traceback (most recent call last):", "  File \"/usr/lib/python3/serve.py\", line 12, in load",
      "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB.", "[W1122] leaked semaphores"},
     "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 224.00 MiB."},
    {{"(EngineCore_0 pid=272) ERROR 06-24 10:21:42 [core.py:519] EngineCore failed to start.", "(EngineCore_0 pid=272) Traceback (most recent call last):",
      "(EngineCore_0 pid=272) ValueError: No available memory for the cache blocks.",
      "(APIServer pid=1) RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"},
     "(EngineCore_0 pid=272) ValueError: No available memory for the cache blocks."},
    {{"ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use",
      "INFO:     Waiting for application shutdown."},
     "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use"},
    {{"Traceback (most recent call last):", "KeyboardInterrupt", "bye"}, "KeyboardInterrupt"},
    {{"an Error: of somebody else", "NoErrorHere: x"}, "NoErrorHere: x"},
    {{"one", "two", "three"}, "three"},
    {{"one", "[GIN] 2026/11/22 - 11:10:19 | 200 |      2.137ms |       127.0.0.1 | POST     \"/api/show\""}, "one"},
};

static void say(struct last_words *w, const char *line, int64_t now_ms)
{
    last_words_take(w, line, level_of_line(line), now_ms);
}

static void test_the_line_that_says_why_is_the_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++) {
        struct last_words w = {.text = ""};
        for (int64_t n = 0; crashes[i].lines[n]; n++)
            say(&w, crashes[i].lines[n], n);
        assert_string_equal(w.text, crashes[i].reason);
    }
}

static void test_what_was_survived_is_no_reason(void **state)
{
    (void)state;
    struct last_words w = {.text = ""};
    say(&w, "panic: of a runner", 1000);
    say(&w, "loaded again", 1000 + LAST_WORDS_MS);
    assert_string_equal(w.text, "panic: of a runner");
    say(&w, "Listening", 1001 + LAST_WORDS_MS);
    assert_string_equal(w.text, "Listening");
    say(&w, "error: first", 9000);
    say(&w, "error: second", 9001);
    assert_string_equal(w.text, "error: second");
}

static void test_a_line_of_any_length_is_cut(void **state)
{
    (void)state;
    char line[1024];
    struct last_words w = {.text = ""};
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    say(&w, line, 1);
    assert_int_equal(strlen(w.text), LAST_WORDS_BYTES - 1);
}

static void test_words_of_slog(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {AT "WARN source=a.go:1 msg=short", "short"},
        {AT "WARN source=a.go:1 msg=\"two words\" error=EOF", "two words: EOF"},
        {AT "WARN source=a.go:1 msg=\"two words\" err=\"it is \\\"it\\\"\"", "two words: it is \"it\""},
        {AT "WARN source=a.go:1 msg=m error=\"with\\nlines\"", "m: \"with\\nlines\""},
        {AT "WARN source=a.go:1", AT "WARN source=a.go:1"},
        {"no line of slog's, msg=\"x\"", "no line of slog's, msg=\"x\""},
        {"", ""},
    };
    char out[100];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        slog_words(cases[i][0], out, sizeof out);
        assert_string_equal(out, cases[i][1]);
    }
    slog_words(AT "INFO msg=0123456789 error=0123456789", out, 15);
    assert_string_equal(out, "0123456789: 01");
}

static void test_what_of_the_log_is_trouble(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum trouble_kind kind;
    } cases[] = {
        {AT "ERROR source=sched.go:489 msg=\"error loading llama server\" error=\"llama runner process has terminated: signal: killed\"", TROUBLE_RUNNER},
        {AT "ERROR source=server.go:807 msg=\"llama runner terminated\" error=\"exit status 2\"", TROUBLE_RUNNER},
        {AT "ERROR source=server.go:1 msg=\"post predict\" error=\"llama runner process no longer running: -1\"", TROUBLE_RUNNER},
        {AT "INFO source=server.go:1 msg=\"llama runner terminated\"", TROUBLE_NONE},
        {AT "ERROR source=images.go:1 msg=\"no such file\"", TROUBLE_NONE},
        {"CUDA error: an illegal memory access was encountered", TROUBLE_CRASH},
        {"panic: no", TROUBLE_CRASH},
        {"goroutine 1 [running]:", TROUBLE_NONE},
    };
    char words[CONTRACT_REASON_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(trouble_of_line(cases[i].line, level_of_line(cases[i].line), words), cases[i].kind);
}

static void test_who_knows_better_is_believed_about_one_death(void **state)
{
    (void)state;
    struct trouble t = {.kind = TROUBLE_NONE};
    assert_int_equal(trouble_take(&t, TROUBLE_NONE, 10000), 0);
    assert_int_equal(trouble_take(&t, TROUBLE_RUNNER, 10000), 1);
    assert_int_equal(trouble_take(&t, TROUBLE_CRASH, 10001), 1);
    assert_int_equal(trouble_take(&t, TROUBLE_CRASH, 10002), 0); /* what follows is about the same crash */
    assert_int_equal(trouble_take(&t, TROUBLE_RUNNER, 10003), 0);
    assert_int_equal(trouble_take(&t, TROUBLE_MEMORY, 10004), 1);
    assert_int_equal(trouble_take(&t, TROUBLE_PROGRAM, 10005), 1);
    assert_int_equal(trouble_take(&t, TROUBLE_PROGRAM, 10006), 1); /* stopping, then ended */
    assert_int_equal(trouble_take(&t, TROUBLE_RUNNER, 10005 + TROUBLE_STANDS_MS), 0);
    assert_int_equal(trouble_take(&t, TROUBLE_RUNNER, 10006 + TROUBLE_STANDS_MS), 1); /* another one */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_line_that_says_why_is_the_reason),
        cmocka_unit_test(test_what_was_survived_is_no_reason),
        cmocka_unit_test(test_a_line_of_any_length_is_cut),
        cmocka_unit_test(test_words_of_slog),
        cmocka_unit_test(test_what_of_the_log_is_trouble),
        cmocka_unit_test(test_who_knows_better_is_believed_about_one_death),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
