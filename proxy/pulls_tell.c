/* See pulls.h. Why a request gets none of the models that it may use, for its client: all of them, each with its reason, and what to do. */
#include "proxy/pulls.h"

#include <stdarg.h>
#include <stdio.h>

struct text {
    char *at;
    size_t used_n, room_n;
};

static void say(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at + t->used_n, t->room_n - t->used_n, format, args);
    va_end(args);
    if (n > 0)
        t->used_n = t->used_n + (size_t)n < t->room_n ? t->used_n + (size_t)n : t->room_n - 1;
}

/* 404: the registry has it not; 503: it may have it soon; 502: it, or Ollama, refuses. */
static int status_of(enum failure kind)
{
    switch (kind) {
    case FAILURE_UNKNOWN_MODEL:
    case FAILURE_BAD_NAME:
        return 404;
    case FAILURE_DISK_FULL:
    case FAILURE_NETWORK:
    case FAILURE_BROKEN_OFF:
    case FAILURE_REGISTRY_BUSY:
    case FAILURE_STALLED:
    case FAILURE_CUT:
    case FAILURE_GONE:
    case FAILURE_OTHER:
        return 503;
    default:
        return 502;
    }
}

/* What gives most hope is what is told. */
static void count(struct pulls_told *out, const struct pulls_row *row, int64_t now_ms)
{
    int status = status_of(row->kind);
    int64_t left_ms = row->until_ms - now_ms;
    if (out->status == 404 || status == 503)
        out->status = status;
    if (out->retry_ms == 0 || left_ms < out->retry_ms)
        out->retry_ms = left_ms;
}

static void say_names(struct text *t, const struct pulls_want *want)
{
    for (size_t i = 0; i < want->models_n; i++)
        say(t, "%s'%s'", i > 0 ? ", " : "", want->models[i]);
}

void pulls_tell(const struct pulls *p, const struct pulls_want *want, int64_t now_ms, struct pulls_told *out)
{
    struct text t = {out->text, 0, sizeof out->text};
    int is_one = want->models_n == 1;
    out->status = 404;
    out->retry_ms = 0;
    say(&t, is_one ? "model " : "none of the models ");
    say_names(&t, want);
    if (want->preset)
        say(&t, " of preset '%s'", want->preset);
    say(&t, is_one ? " is not installed" : " is installed");
    if (want->is_of_many) {
        say(&t, ", and nothing is pulled by itself on several Ollamas: `ollama pull %s` on one of them gets it", want->models[0]);
        return;
    }
    if (!want->may_pull) {
        say(&t, ", and [proxy] pull_missing = no: `ollama pull %s` gets it", want->models[0]);
        return;
    }
    say(&t, is_one ? ", and can't be pulled" : ", nor can be pulled");
    for (size_t i = 0; i < want->models_n; i++) {
        const struct pulls_row *row = pulls_failed(p, want->models[i], now_ms);
        if (!row)
            continue;
        say(&t, i == 0 ? ": " : "; ");
        if (!is_one)
            say(&t, "%s: ", want->models[i]);
        say(&t, "%s", row->reason);
        count(out, row, now_ms);
    }
    say(&t, "; `ollama pull %s` tries it by hand", want->models[0]);
}
