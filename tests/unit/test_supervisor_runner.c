/* supervisor/runner: what Ollama says of its runners, from v0.1 to v0.33, and what is none of it. */
#include "supervisor/runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIGEST "c1d97a160fb962d0169ed045bac921c0903cfa75c632c3285fd12ba2ab7723bb"
#define BLOB "/data/models/blobs/sha256-" DIGEST
#define TIME "time=2026-11-22T01:07:08.966Z level=INFO source=server.go:438 "

static struct runner r;

static int setup(void **state)
{
    (void)state;
    runner_init(&r);
    return 0;
}

static void assert_runner(long parallel, long context, long batch, int has_mmap)
{
    assert_string_equal(r.digest, DIGEST);
    assert_string_equal(r.folder, "/data/models");
    assert_int_equal(r.parallel, parallel);
    assert_int_equal(r.context, context);
    assert_int_equal(r.batch, batch);
    assert_int_equal(r.has_mmap, has_mmap);
}

static void test_one_line_of_0_9(void **state)
{
    (void)state;
    assert_int_equal(runner_line(&r, TIME "msg=\"starting llama server\" cmd=\"/opt/ollama/bin/ollama runner --model " BLOB
                                     " --ctx-size 256 --batch-size 512 --threads 2 --parallel 1 --port 46543\""), 1);
    assert_runner(1, 256, 512, 1);
    assert_int_equal(runner_line(&r, TIME "msg=\"starting llama server\" cmd=\"/opt/ollama/bin/ollama runner --model " BLOB
                                     " --ctx-size 8192 --batch-size 512 --n-gpu-layers 3 --threads 2 --no-mmap --parallel 2 --port 46543\""), 1);
    assert_runner(2, 4096, 512, 0); /* of one request */
    assert_int_equal(r.is_ollama_engine, 0);
}

static void test_ollamas_engine_never_maps(void **state)
{
    (void)state;
    assert_int_equal(runner_line(&r, TIME "msg=\"starting llama server\" cmd=\"/usr/bin/ollama runner --ollama-engine --model " BLOB
                                     " --ctx-size 8192 --batch-size 512 --parallel 4 --port 46543\""), 1);
    assert_runner(4, 2048, 512, 0);
    assert_int_equal(r.is_ollama_engine, 1);
}

static void test_two_lines_of_0_12(void **state)
{
    (void)state;
    static const char load[] = "time=2026-11-22T01:07:09.966Z level=INFO source=runner.go:828 msg=load request=\"{Operation:%s LoraPath:[] Parallel:1"
                               " BatchSize:512 FlashAttention:false KvSize:4096 KvCacheType: NumThreads:2 GPULayers:[] MultiUserCache:false"
                               " ProjectorPath: MainGPU:0 UseMmap:%s}\"";
    char line[1024];
    snprintf(line, sizeof line, load, "commit", "true");
    assert_int_equal(runner_line(&r, line), 0); /* of nothing that we know of */
    assert_int_equal(runner_line(&r, TIME "msg=\"starting runner\" cmd=\"/usr/bin/ollama runner --port 41251\""), 0);
    assert_int_equal(runner_line(&r, line), 0); /* that one looked for GPUs */
    assert_int_equal(runner_line(&r, TIME "msg=\"starting runner\" cmd=\"/usr/bin/ollama runner --model " BLOB " --port 41251\""), 0);
    snprintf(line, sizeof line, load, "fit", "false");
    assert_int_equal(runner_line(&r, line), 0);
    snprintf(line, sizeof line, load, "commit", "true");
    assert_int_equal(runner_line(&r, line), 1);
    assert_runner(1, 4096, 512, 1);
    assert_int_equal(runner_line(&r, line), 0); /* told once */
    assert_int_equal(runner_line(&r, TIME "msg=\"starting runner\" cmd=\"/usr/bin/ollama runner --ollama-engine --model " BLOB " --port 41251\""), 0);
    assert_int_equal(runner_line(&r, line), 1);
    assert_runner(1, 4096, 512, 0);
}

static void test_llama_server_of_0_30(void **state)
{
    (void)state;
    assert_int_equal(runner_line(&r, TIME "msg=\"starting llama-server\" cmd=\"/usr/lib/ollama/llama-server --model " BLOB
                                     " --port 41251 --host 127.0.0.1 --no-webui --offline -c 8192 -np 2 --log-verbosity 4 --no-log-prefix -b 512 -ub 512\""), 1);
    assert_runner(2, 4096, 512, 1);
    static const char *const unmapped[] = {"--no-mmap", "--load-mode none", "--load-mode dio"};
    for (size_t i = 0; i < sizeof unmapped / sizeof *unmapped; i++) {
        char line[1024];
        snprintf(line, sizeof line, TIME "msg=\"starting llama-server\" cmd=\"/usr/lib/ollama/llama-server --model " BLOB
                 " --port 41251 -c 2048 -np 1 %s -ngl 0\"", unmapped[i]);
        assert_int_equal(runner_line(&r, line), 1);
        assert_runner(1, 2048, RUNNER_UNKNOWN, 0);
    }
}

static void test_mlx_says_the_name(void **state)
{
    (void)state;
    assert_int_equal(runner_line(&r, TIME "msg=\"starting mlx runner subprocess\" model=qwen3:4b-mlx port=41251"), 1);
    assert_string_equal(r.name, "qwen3:4b-mlx");
    assert_string_equal(r.digest, "");
    assert_int_equal(r.parallel, RUNNER_UNKNOWN);
    assert_int_equal(r.is_mlx, 1);
}

static void test_a_folder_with_blanks_and_quotes(void **state)
{
    (void)state;
    assert_int_equal(runner_line(&r, TIME "msg=\"starting llama server\" cmd=\"/o runner --model /my \\\"big\\\" - models/blobs/sha256-" DIGEST
                                     " --ctx-size 256 --parallel 1\""), 1);
    assert_string_equal(r.folder, "/my \"big\" - models");
    assert_int_equal(r.context, 256);
}

static void test_wrong_lines_give_nothing(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",
        "time=",
        "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --ctx-size 256 --parallel 1\"", /* no slog line */
        TIME "msg=\"starting llama server\"",
        TIME "msg=\"starting llama server\" cmd=",
        TIME "msg=\"starting llama server\" cmd=\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --ctx-size 256 --parallel 1", /* cut */
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model relative/blobs/sha256-" DIGEST " --ctx-size 256 --parallel 1\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model /m/blobs/sha256-" "zz" " --ctx-size 256 --parallel 1\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model /m/blobs/sha256-C1D97A160FB962D0169ED045BAC921C0903CFA75C632C3285FD12BA2AB7723BB --ctx-size 256 --parallel 1\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB "0 --ctx-size 256 --parallel 1\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --parallel 1\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --ctx-size 256\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --ctx-size 256 --parallel\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --ctx-size 256 --parallel 0\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --ctx-size 256 --parallel -1\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --ctx-size 1x --parallel 1\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --ctx-size 99999999999999999999 --parallel 1\"",
        TIME "msg=\"starting llama server\" cmd=\"/o runner --model " BLOB " --ctx-size 2 --parallel 4\"",
        TIME "msg=\"starting llama server\" cmd=\"/o\\n runner --model " BLOB " --ctx-size 256 --parallel 1\"",
        TIME "msg=\"no start\" x=\"msg=\\\"starting llama server\\\" cmd=\\\"/o runner --model " BLOB " --ctx-size 256 --parallel 1\\\"\"",
        TIME "msg=\"starting mlx runner subprocess\" model= port=1",
        TIME "msg=\"starting mlx runner subprocess\" model=\"two words\" port=1",
        TIME "msg=\"starting mlx runner subprocess\" port=1",
        TIME "msg=\"starting go runner\"",
        TIME "msg=\"loaded runners\" count=1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (runner_line(&r, lines[i]))
            fail_msg("taken for a runner: %s", lines[i]);
}

#define CASE(fn) cmocka_unit_test_setup(fn, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_one_line_of_0_9),
        CASE(test_ollamas_engine_never_maps),
        CASE(test_two_lines_of_0_12),
        CASE(test_llama_server_of_0_30),
        CASE(test_mlx_says_the_name),
        CASE(test_a_folder_with_blanks_and_quotes),
        CASE(test_wrong_lines_give_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
