/* supervisor/level: lines of Ollama 0.9.5 as it writes them, and those of others. */
#include "supervisor/level.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *line;
    enum log_level level;
};

static void assert_levels(const struct row *rows, size_t rows_n)
{
    for (size_t i = 0; i < rows_n; i++)
        if (level_of_line(rows[i].line) != rows[i].level)
            fail_msg("%s: taken for %s", rows[i].line, log_level_name(level_of_line(rows[i].line)));
}

#define LEVELS(rows) assert_levels(rows, sizeof(rows) / sizeof *(rows))

static void test_ollamas_ordinary_lines_are_of_no_interest(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"", LOG_DEBUG},
        {"Couldn't find '/root/.ollama/id_ed25519'. Generating new private key.", LOG_DEBUG},
        {"time=2026-11-22T01:07:08.463Z level=INFO source=images.go:476 msg=\"total blobs: 2\"", LOG_DEBUG},
        {"time=2026-11-22T01:07:08.695Z level=INFO source=server.go:632 msg=\"waiting for server to become available\" status=\"llm server not responding\"", LOG_DEBUG},
        {"time=2026-11-22T01:07:08.695Z level=DEBUG source=x.go:1 msg=\"level=ERROR panic: fatal error: failed\"", LOG_DEBUG},
        {"[GIN-debug] [WARNING] Creating an Engine instance with the Logger and Recovery middleware already attached.", LOG_DEBUG},
        {"[GIN-debug] [WARNING] Running in \"debug\" mode. Switch to \"release\" mode in production.", LOG_DEBUG},
        {" - using env:\texport GIN_MODE=release", LOG_DEBUG},
        {"[GIN] 2026/11/22 - 01:07:08 | 200 |     538.418\xc2\xb5s |       127.0.0.1 | GET      \"/api/tags\"", LOG_DEBUG},
        {"[GIN] 2026/11/22 - 01:07:09 | 404 |      296.64\xc2\xb5s |       127.0.0.1 | POST     \"/api/generate\"", LOG_DEBUG},
        {"[GIN] 2026/11/22 - 01:07:09 | 500 |          1m0s |       127.0.0.1 | POST     \"/api/generate\"", LOG_DEBUG},
        {"llama_model_loader: - kv   0:                       general.architecture str              = llama", LOG_DEBUG},
        {"llama_model_loader: - kv  13:                      tokenizer.ggml.tokens arr[str,370]     = [\"<unk>\", \"error: x\"", LOG_DEBUG},
        {"load: special_eos_id is not in special_eog_ids - the tokenizer config may be incorrect", LOG_DEBUG},
        {"print_info: file type   = all F32", LOG_DEBUG},
        {"llama_model_load: vocab only - skipping tensors", LOG_DEBUG},
        {"load_tensors: loading model tensors, this can take a while... (mmap = true)", LOG_DEBUG},
        {"llama_context: n_ctx_per_seq (256) < n_ctx_train (32768) -- the full capacity of the model will not be utilized", LOG_DEBUG},
        {"llama_kv_cache_unified: KV self size  =    0.12 MiB, K (f16):    0.06 MiB, V (f16):    0.06 MiB", LOG_DEBUG},
        {"goroutine 1 [running]:", LOG_DEBUG},
        {"main.main()", LOG_DEBUG},
    };
    LEVELS(rows);
}

static void test_what_ollama_calls_bad(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"time=2026-11-22T01:07:08.463Z level=WARN source=server.go:170 msg=\"model request too large for system\"", LOG_WARNING},
        {"time=2026-11-22T01:07:08.463Z level=ERROR source=sched.go:489 msg=\"error loading llama server\" error=\"llama runner process has terminated\"", LOG_ERROR},
        {"Error: listen tcp 127.0.0.1:11434: bind: address already in use", LOG_ERROR},
        {"panic: runtime error: invalid memory address or nil pointer dereference", LOG_ERROR},
        {"fatal error: runtime: out of memory", LOG_ERROR},
        {"[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x0]", LOG_ERROR},
        {"SIGABRT: abort", LOG_ERROR},
        {"terminate called after throwing an instance of 'std::runtime_error'", LOG_ERROR},
        {"llama_model_load: error loading model: tensor 'blk.0' data is not within the file bounds", LOG_ERROR},
        {"llama_model_load_from_file_impl: failed to load model", LOG_ERROR},
        {"ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 4294967296", LOG_ERROR},
        {"/src/ggml/src/ggml.c:1544: GGML_ASSERT(view_src == NULL) failed", LOG_ERROR},
        {"CUDA error: out of memory", LOG_ERROR},
    };
    LEVELS(rows);
}

static void test_other_forms(void **state)
{
    (void)state;
    static const struct row rows[] = {
        /* slog's custom levels, logrus, with and without a time, whatever the case */
        {"time=x level=ERROR+4 msg=y", LOG_ERROR},
        {"time=x level=INFO+1 msg=y", LOG_DEBUG},
        {"level=warning msg=\"a b\"", LOG_WARNING},
        {"level=info msg=\"error: x\"", LOG_DEBUG},
        {"time=\"2026-11-22T01:07:08Z\" level=fatal msg=\"no\"", LOG_ERROR},
        {"time=\"2026-11-22T01:07:08Z\" msg=\"told: level=error and so on, behind a message of this length level=error\"", LOG_DEBUG},
        {"WARN[0012] slow", LOG_WARNING},
        {"INFO[0000] error: fine", LOG_DEBUG},
        /* klog */
        {"W1122 01:07:08.123456    1234 file.go:12] text", LOG_WARNING},
        {"E1122 01:07:08.123456       1 file.go:12] text", LOG_ERROR},
        {"F1122 01:07:08.123456       1 file.go:12] text", LOG_ERROR},
        {"I1122 01:07:08.123456       1 file.go:12] error: text", LOG_DEBUG},
        {"E1122 is a number", LOG_DEBUG},
        {"E", LOG_DEBUG},
        /* JSON */
        {"{\"level\":\"error\",\"msg\":\"x\"}", LOG_ERROR},
        {"{\"time\":\"x\", \"level\" : \"Warning\"}", LOG_WARNING},
        {"{\"severity\":\"CRITICAL\"}", LOG_ERROR},
        {"{\"level\":\"info\",\"msg\":\"\\\"level\\\":\\\"error\\\"\"}", LOG_DEBUG},
        {"{\"level\":50}", LOG_ERROR},
        {"{\"level\":40}", LOG_WARNING},
        {"{\"level\":30}", LOG_DEBUG},
        {"{\"level\":{}}", LOG_DEBUG},
        {"{\"level\"", LOG_DEBUG},
        {"{\"msg\":\"error\"}", LOG_DEBUG},
        {"{", LOG_DEBUG},
        /* Python, and dates in front */
        {"ERROR:root:no", LOG_ERROR},
        {"WARNING: something", LOG_WARNING},
        {"error: no such file", LOG_ERROR},
        {"Traceback (most recent call last):", LOG_ERROR},
        {"2026-11-22 01:07:08,123 - app - ERROR - text", LOG_ERROR},
        {"2026-11-22T01:07:08Z WARN text", LOG_WARNING},
        {"2026/11/22 01:07:08 [error] 12#12: text", LOG_ERROR},
        {"2026/11/22 01:07:08 [notice] 12#12: error", LOG_DEBUG},
        {"2026-11-22 01:07:08 no word here", LOG_DEBUG},
        {"ERROR 06-24 10:21:42 [core.py:519] EngineCore failed to start.", LOG_ERROR},
        {"(EngineCore_0 pid=272) WARNING 06-24 10:21:42 [config.py:3443] Casting torch.float16 to torch.bfloat16.", LOG_WARNING},
        {"(APIServer pid=1) INFO 06-24 10:21:42 [api_server.py:1787] ERROR is no word here", LOG_DEBUG},
        {"(APIServer pid=1) ERROR of something else", LOG_DEBUG},
        {"(ERROR 06-24 10:21:42 x", LOG_DEBUG},
        {"2026-", LOG_DEBUG},
        /* words in the middle say nothing */
        {"there was an error: none", LOG_DEBUG},
        {"errors: 0", LOG_DEBUG},
        {"Errorless: yes", LOG_DEBUG},
        {"panicking: no", LOG_DEBUG},
    };
    LEVELS(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ollamas_ordinary_lines_are_of_no_interest),
        cmocka_unit_test(test_what_ollama_calls_bad),
        cmocka_unit_test(test_other_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
