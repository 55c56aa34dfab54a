/*
 * See level.h. A line belongs to the first form that knows it, and that form alone decides: a request's path or a prompt
 * that has "error" in it must not make noise.
 */
#include "supervisor/level.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { UNKNOWN = -1 };

/* Level words, whatever their case; what follows a word must be no letter (slog: ERROR+4). */
static int level_of_word(const char *word)
{
    static const struct {
        char word[12];
        enum log_level level;
    } words[] = {
        {"trace", LOG_DEBUG},   {"debug", LOG_DEBUG},   {"info", LOG_DEBUG},      {"notice", LOG_DEBUG},
        {"warn", LOG_WARNING},  {"warning", LOG_WARNING}, {"error", LOG_ERROR},   {"err", LOG_ERROR},
        {"fatal", LOG_ERROR},   {"panic", LOG_ERROR},   {"dpanic", LOG_ERROR},    {"critical", LOG_ERROR},
        {"crit", LOG_ERROR},    {"alert", LOG_ERROR},   {"emerg", LOG_ERROR},     {"emergency", LOG_ERROR},
    };
    size_t n = 0;
    while (isalpha((unsigned char)word[n]))
        n++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i].word) == n && strncasecmp(words[i].word, word, n) == 0)
            return (int)words[i].level;
    return UNKNOWN;
}

/* `time=… level=WARN source=… msg=…` of slog, `time="…" level=warning msg="…"` of logrus, or with level= in front. */
static int from_key_value(const char *line)
{
    if (strncmp(line, "level=", 6) == 0)
        return level_of_word(line + 6);
    if (strncmp(line, "time=", 5) != 0)
        return UNKNOWN;
    const char *at = strstr(line, " level="), *message = strstr(line, " msg=");
    return at && (!message || at < message) ? level_of_word(at + 7) : (int)LOG_DEBUG; /* in a message it says nothing */
}

/* Gin's access log and its notes at start: [GIN] 2026/11/22 - 01:07:08 | 404 | … */
static int from_gin(const char *line)
{
    return strncmp(line, "[GIN", 4) == 0 ? (int)LOG_DEBUG : UNKNOWN;
}

/* klog: W1122 01:07:08.123456    1234 file.go:12] text */
static int from_klog(const char *line)
{
    static const char form[] = "0000 00:00:00.0", letters[] = "IWEF";
    if (!line[0] || !strchr(letters, line[0]))
        return UNKNOWN;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == '0' ? !isdigit((unsigned char)line[1 + i]) : line[1 + i] != form[i])
            return UNKNOWN;
    return line[0] == 'I' ? LOG_DEBUG : line[0] == 'W' ? LOG_WARNING : LOG_ERROR;
}

/* {"level":"error",…}; numbers are those of bunyan and pino. No parser: the first such key is the record's own. */
static int from_json(const char *line)
{
    static const char *const keys[] = {"\"level\"", "\"severity\"", "\"levelname\"", "\"lvl\""};
    enum { PINO_WARN = 40, PINO_ERROR = 50 };
    if (line[0] != '{')
        return UNKNOWN;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *at = strstr(line, keys[i]);
        if (!at)
            continue;
        at += strlen(keys[i]);
        at += strspn(at, " ");
        if (*at != ':')
            continue;
        at += 1 + strspn(at + 1, " ");
        if (*at == '"') {
            int level = level_of_word(at + 1);
            return level == UNKNOWN ? (int)LOG_DEBUG : level;
        }
        long number = strtol(at, NULL, 10);
        return number >= PINO_ERROR ? LOG_ERROR : number >= PINO_WARN ? LOG_WARNING : LOG_DEBUG;
    }
    return LOG_DEBUG;
}

/* `WARNING: text`, `ERROR:module:text` (Python), `WARN[0012] text` (logrus on a terminal), `error: text`. */
static int from_first_word(const char *line)
{
    size_t n = 0;
    while (isalpha((unsigned char)line[n]))
        n++;
    return n > 0 && (line[n] == ':' || line[n] == '[') ? level_of_word(line) : UNKNOWN;
}

/* `2026/11/22 01:07:08 [error] text`, `2026-11-22 01:07:08,123 - ERROR - text`, `2026-… WARN text`: behind a date. */
static int from_dated(const char *line)
{
    enum { WORDS_MAX = 5 };
    for (int i = 0; i < 4; i++)
        if (!isdigit((unsigned char)line[i]))
            return UNKNOWN;
    if (line[4] != '-' && line[4] != '/')
        return UNKNOWN;
    for (int i = 0; i < WORDS_MAX && *line; i++) {
        line += strcspn(line, " ");
        line += strspn(line, " -[");
        size_t n = strcspn(line, " :]");
        int level = n > 0 ? level_of_word(line) : UNKNOWN;
        if (level != UNKNOWN && strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") == n)
            return level;
    }
    return UNKNOWN;
}

/* `ERROR 06-24 10:21:42 [core.py:519] text`, `(EngineCore_0 pid=272) ERROR 06-24 …`: vLLM, whose processes say who they are. */
static int from_vllm(const char *line)
{
    static const char form[] = " 00-00 00:00:00 ";
    const char *said_by = *line == '(' ? strstr(line, ") ") : NULL;
    if (said_by)
        line = said_by + 2;
    size_t word_n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
    for (size_t i = 0; form[i]; i++)
        if (form[i] == '0' ? !isdigit((unsigned char)line[word_n + i]) : line[word_n + i] != form[i])
            return UNKNOWN;
    return level_of_word(line);
}

/* How Go, C++, ggml and Python end; these stand at the beginning of a line. */
static int from_last_words(const char *line)
{
    static const char beginnings[][36] = {
        "panic:", "fatal error:", "runtime:", "SIGSEGV:", "SIGABRT:", "SIGBUS:", "SIGILL:", "[signal SIG", "terminate called",
        "GGML_ASSERT(", "CUDA error", "ROCm error", "Traceback (most recent call last):", "Segmentation fault",
        "Out of memory", "Killed", "http: panic serving",
    };
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (strncmp(line, beginnings[i], strlen(beginnings[i])) == 0)
            return LOG_ERROR;
    return UNKNOWN;
}

/* llama.cpp and ggml: `llama_model_load: error loading model: …`, `ggml_backend_cpu_buffer: failed to allocate …`,
 * `ggml.c:123: GGML_ASSERT(…) failed`: the function's or file's name, a colon, and then what is the matter. */
static int from_llama(const char *line)
{
    static const struct {
        char text[16];
        enum log_level level;
    } matters[] = {
        {"error", LOG_ERROR},       {"failed", LOG_ERROR},     {"unable to", LOG_ERROR}, {"GGML_ASSERT(", LOG_ERROR},
        {"CUDA error", LOG_ERROR},  {"warning", LOG_WARNING},  {"out of memory", LOG_ERROR},
    };
    static const char owners[][8] = {"llama", "ggml", "gguf", "clip", "srv", "slot", "common", "main", "load", "/"};
    int is_ours = 0;
    for (size_t i = 0; i < sizeof owners / sizeof *owners; i++)
        is_ours = is_ours || strncmp(line, owners[i], strlen(owners[i])) == 0;
    if (!is_ours)
        return UNKNOWN;
    for (const char *at = strchr(line, ':'); at; at = strchr(at, ':')) {
        at += 1 + strspn(at + 1, " ");
        for (size_t i = 0; i < sizeof matters / sizeof *matters; i++)
            if (strncmp(at, matters[i].text, strlen(matters[i].text)) == 0)
                return (int)matters[i].level;
    }
    return UNKNOWN;
}

static int (*const forms[])(const char *) = {from_key_value,  from_gin,        from_klog,  from_json,
                                             from_last_words, from_first_word, from_vllm, from_dated, from_llama};

enum log_level level_of_line(const char *line)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        int level = forms[i](line);
        if (level != UNKNOWN)
            return (enum log_level)level;
    }
    return LOG_DEBUG;
}
