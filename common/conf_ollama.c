/* What our Ollama makes of its own variables that decide about memory (envconfig/config.go, v0.9.5), and how its proxy is told. */
#include "common/conf_internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { CONTEXT = 4096, CACHE_F16 = 64, CACHE_Q8 = 34, CACHE_Q4 = 18, VALUE_BYTES = 24 };

/* As Ollama takes a variable: without blanks and quotes at its ends. "" also where it is too long for any that is known. */
static void trimmed(char *const *environment, const char *name, char out[VALUE_BYTES])
{
    const char *text = conf_variable(environment, name);
    out[0] = '\0';
    text = text ? text + strspn(text, " \t\"'") : "";
    size_t n = strlen(text);
    while (n > 0 && strchr(" \t\"'", text[n - 1]))
        n--;
    if (n < VALUE_BYTES)
        snprintf(out, VALUE_BYTES, "%.*s", (int)n, text);
}

/* strconv.ParseBool, and what it can't read is true. */
static int is_on(const char *text)
{
    static const char *const off[] = {"", "0", "f", "F", "false", "False", "FALSE"};
    for (size_t i = 0; i < sizeof off / sizeof *off; i++)
        if (strcmp(text, off[i]) == 0)
            return 0;
    return 1;
}

void conf_ollama_memory_read(struct conf_ollama_memory *m, char *const *environment)
{
    char value[VALUE_BYTES], why[PARSE_WHY_BYTES];
    trimmed(environment, "OLLAMA_CONTEXT_LENGTH", value);
    if (!*value || parse_integer(value, 0, INT32_MAX, &m->context_n, why) < 0)
        m->context_n = CONTEXT;
    trimmed(environment, "OLLAMA_KV_CACHE_TYPE", value);
    m->cache_bytes = strcasecmp(value, "q8_0") == 0 ? CACHE_Q8 : strcasecmp(value, "q4_0") == 0 ? CACHE_Q4 : CACHE_F16;
    trimmed(environment, "OLLAMA_FLASH_ATTENTION", value);
    m->is_flash = is_on(value);
    trimmed(environment, "OLLAMA_VULKAN", value);
    m->is_gpu_asked = is_on(value);
    trimmed(environment, "OLLAMA_INTEL_GPU", value);
    m->is_gpu_asked |= is_on(value);
}

void conf_ollama_memory_write(const struct conf_ollama_memory *m, char out[CONF_OLLAMA_MEMORY_BYTES])
{
    snprintf(out, CONF_OLLAMA_MEMORY_BYTES, "%lld:%d:%d:%d", (long long)m->context_n, m->cache_bytes, m->is_flash, m->is_gpu_asked);
}

void conf_ollama_memory_take(struct conf_ollama_memory *m, const char *text)
{
    struct conf_ollama_memory said;
    long long context_n;
    int end = -1;
    *m = (struct conf_ollama_memory){.context_n = CONTEXT, .cache_bytes = CACHE_F16};
    if (!text || sscanf(text, "%10lld:%2d:%1d:%1d%n", &context_n, &said.cache_bytes, &said.is_flash, &said.is_gpu_asked, &end) != 4 || text[end])
        return;
    said.context_n = context_n;
    if (context_n >= 0 && said.cache_bytes > 0 && said.is_flash >= 0 && said.is_gpu_asked >= 0)
        *m = said;
}
