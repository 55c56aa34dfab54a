/* common/conf_ollama: what our Ollama takes memory by. */
#include "tests/unit/conf_each.h"

/* As Ollama reads them: what is no number is none, and what is no truth is true. */
static void test_what_ollama_takes_memory_by(void **state)
{
    (void)state;
    static const struct {
        const char *pair, *text;
    } cases[] = {
        {"OLLAMA_CONTEXT_LENGTH=", "4096:64:0:0"},       {"OLLAMA_CONTEXT_LENGTH=2048", "2048:64:0:0"},
        {"OLLAMA_CONTEXT_LENGTH= '8192\" ", "8192:64:0:0"}, {"OLLAMA_CONTEXT_LENGTH=many", "4096:64:0:0"},
        {"OLLAMA_CONTEXT_LENGTH=-1", "4096:64:0:0"},     {"OLLAMA_CONTEXT_LENGTH=99999999999999999999999999", "4096:64:0:0"},
        {"OLLAMA_KV_CACHE_TYPE=Q8_0", "4096:34:0:0"},    {"OLLAMA_KV_CACHE_TYPE=q4_0", "4096:18:0:0"},
        {"OLLAMA_KV_CACHE_TYPE=q5_1", "4096:64:0:0"},    {"OLLAMA_FLASH_ATTENTION=1", "4096:64:1:0"},
        {"OLLAMA_FLASH_ATTENTION=maybe", "4096:64:1:0"}, {"OLLAMA_FLASH_ATTENTION=False", "4096:64:0:0"},
        {"OLLAMA_VULKAN=1", "4096:64:0:1"},              {"OLLAMA_INTEL_GPU=true", "4096:64:0:1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static char pair[80];
        char text[CONF_OLLAMA_MEMORY_BYTES];
        char *environment[] = {pair, NULL};
        snprintf(pair, sizeof pair, "%s", cases[i].pair);
        conf_case_load(&k, "", environment);
        conf_case_good(&k);
        conf_ollama_memory_write(&k.conf->ollama_memory, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_ollama_takes_memory_by, conf_case_setup, conf_case_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
