/* See reasons.h. */
#include "supervisor/reasons.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void reasons_tell(struct supervisor *s, enum trouble_kind kind, const char *format, ...)
{
    char text[CONTRACT_REASON_BYTES];
    va_list args;
    if (!trouble_take(&s->trouble, kind, loop_now_ms(&s->loop)))
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    contract_trouble_write(&s->board.page->trouble, text, loop_monotonic_ms(&s->loop));
    state_tell_all(s, CONTRACT_STATE_CHANGED);
}

void reasons_follow(struct supervisor *s, const struct child *c)
{
    static const char hung[] = "hung: "; /* how the reasons of live.c and stall.c begin */
    const struct program *p = &c->program;
    int is_asleep = state_sleep(s) == CONTRACT_ASLEEP; /* then nobody needs it: nothing went wrong */
    if (!state_is_ollama(c) || is_asleep)
        return;
    int is_hung = strncmp(p->reason, hung, sizeof hung - 1) == 0;
    if (p->state == CONTRACT_STOPPING && p->after == PROGRAM_AFTER_FAILURE && is_hung)
        reasons_tell(s, TROUBLE_PROGRAM, "ollama was hung, and is restarted: %.200s", p->reason + sizeof hung - 1);
    else if (p->state == CONTRACT_STOPPING && p->after == PROGRAM_AFTER_FAILURE)
        reasons_tell(s, TROUBLE_PROGRAM, "ollama is restarted: %.200s", p->reason);
    else if (p->state == CONTRACT_STOPPING)
        reasons_tell(s, TROUBLE_PROGRAM, "ollama was told to %s", p->after == PROGRAM_AFTER_DOWN ? "stop" : "restart");
    else if ((p->state == CONTRACT_BACKOFF || p->state == CONTRACT_FAILED) && p->has_exited && !p->shortages_n && !is_hung)
        reasons_tell(s, TROUBLE_PROGRAM, "ollama has ended: %.220s", p->reason);
}

void reasons_said(struct supervisor *s, const struct child *c, const char *line, enum log_level level)
{
    char words[CONTRACT_REASON_BYTES];
    if (!state_is_ollama(c))
        return;
    enum trouble_kind kind = trouble_of_line(line, level, words);
    reasons_tell(s, kind, "ollama's log says: %.200s", words);
}

void reasons_killed(struct supervisor *s, const char *owner, const char *limit)
{
    if (!owner)
        reasons_tell(s, TROUBLE_MEMORY, "out of memory%s%s: the kernel has killed a process", *limit ? ", " : "", limit);
    else if (strcmp(owner, "ollama") == 0)
        reasons_tell(s, TROUBLE_MEMORY, "out of memory%s%s: the kernel has killed ollama, or its runner", *limit ? ", " : "", limit);
}
