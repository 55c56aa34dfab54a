/* See last_words.h. The beginnings are those of Go's runtime, of ggml (GGML_ABORT, CUDA_CHECK), of libstdc++ and of Ollama's own
 * main(), as they wrote them when they were made to crash. */
#include "supervisor/last_words.h"

#include "supervisor/slog.h"

#include <string.h>

static int begins_with_one(const char *line, const char *const *list, size_t list_n)
{
    for (size_t i = 0; i < list_n; i++)
        if (strncmp(line, list[i], strlen(list[i])) == 0)
            return 1;
    return 0;
}

static int is_crash(const char *line)
{
    static const char *const beginnings[] = {
        "panic:", "fatal error:", "SIGSEGV:", "SIGABRT:", "SIGBUS:", "SIGILL:", "SIGFPE:", "SIGTRAP:", "terminate called", "GGML_ASSERT(",
        "CUDA error", "ROCm error", "Error: ", "Segmentation fault",
    };
    static const char *const inside[] = {": GGML_ASSERT(", ": CUDA error", ": ROCm error", ": fatal error"};
    static const char *const paths[] = {"/", "ggml"};
    if (begins_with_one(line, beginnings, sizeof beginnings / sizeof *beginnings))
        return 1;
    if (!begins_with_one(line, paths, sizeof paths / sizeof *paths)) /* the file that says it stands in front */
        return 0;
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        if (strstr(line, inside[i]))
            return 1;
    return 0;
}

/* `torch.OutOfMemoryError: CUDA out of memory. …`, which is the last line of a traceback of Python's; vLLM's processes say before it who
 * they are. */
static int is_exception(const char *line)
{
    static const char *const ends[] = {"Error", "Exception", "Interrupt", "Exit"};
    const char *said_by = *line == '(' ? strstr(line, ") ") : NULL;
    if (said_by)
        line = said_by + 2;
    size_t name_n = strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t end_n = strlen(ends[i]);
        if (name_n > end_n && memcmp(line + name_n - end_n, ends[i], end_n) == 0)
            return line[name_n] == ':' || line[name_n] == '\0';
    }
    return 0;
}

/* What points to an error that was told before says less than that. */
static int is_pointer(const char *line)
{
    return strstr(line, "See root cause above") != NULL;
}

enum last_words_weight last_words_weigh(const char *line, enum log_level level)
{
    if (is_crash(line))
        return LAST_WORDS_CRASH;
    return !is_pointer(line) && (level >= LOG_ERROR || is_exception(line)) ? LAST_WORDS_ERROR : LAST_WORDS_ANY;
}

void last_words_take(struct last_words *w, const char *line, enum log_level level, int64_t now_ms)
{
    static const char access[] = "[GIN"; /* that somebody was answered kills nobody */
    enum last_words_weight weight = last_words_weigh(line, level);
    if (strncmp(line, access, sizeof access - 1) == 0)
        return;
    int is_new = now_ms - w->at_ms <= LAST_WORDS_MS && w->text[0];
    if (is_new && (weight < w->weight || (weight == w->weight && weight == LAST_WORDS_CRASH)))
        return;
    w->weight = weight;
    w->at_ms = now_ms;
    slog_words(line, w->text, sizeof w->text);
}
