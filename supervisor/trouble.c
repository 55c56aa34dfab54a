/* See trouble.h. One death is told of by several: the runner itself, Ollama, the kernel's counter, waitpid(2). */
#include "supervisor/trouble.h"

#include "supervisor/last_words.h"
#include "supervisor/slog.h"

#include <string.h>

int trouble_take(struct trouble *t, enum trouble_kind kind, int64_t now_ms)
{
    int is_standing = now_ms - t->at_ms < TROUBLE_STANDS_MS;
    int is_better = kind > t->kind || (kind == t->kind && kind != TROUBLE_CRASH); /* of a crash the first line counts */
    if (kind == TROUBLE_NONE || (is_standing && !is_better))
        return 0;
    *t = (struct trouble){kind, now_ms};
    return 1;
}

/* "llama runner process has terminated: …", "llama runner process no longer running: …", "llama runner terminated", and the like
 * of later versions. */
static int is_about_a_runner(const char *words)
{
    static const char *const ends[] = {"terminated", "no longer running", "exited", "crashed"};
    if (!strstr(words, "runner") && !strstr(words, "llama-server"))
        return 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (strstr(words, ends[i]))
            return 1;
    return 0;
}

enum trouble_kind trouble_of_line(const char *line, enum log_level level, char out[CONTRACT_REASON_BYTES])
{
    slog_words(line, out, CONTRACT_REASON_BYTES);
    if (last_words_weigh(line, level) == LAST_WORDS_CRASH)
        return TROUBLE_CRASH;
    return level >= LOG_ERROR && is_about_a_runner(out) ? TROUBLE_RUNNER : TROUBLE_NONE;
}
