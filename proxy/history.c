/* See history.h. */
#include "proxy/history.h"

#include <stdio.h>

/* Behind the turn that begins here. */
static size_t turn_end(const struct prompt *p, size_t from)
{
    size_t end = from + 1;
    while (end < p->last_user && p->messages[end].role != PROMPT_USER)
        end++;
    return end;
}

struct history_cut history_cut(const struct prompt *p, struct token_line line, uint64_t chars_n, size_t messages_n, uint64_t tokens_n)
{
    struct history_cut cut = {.end_n = p->system_n};
    size_t next = p->system_n;
    if (p->last_user == p->messages_n || token_count(line, chars_n, messages_n) <= tokens_n)
        return cut;
    while (next < p->last_user) {
        size_t before_n = cut.messages_n;
        for (size_t end = turn_end(p, next); next < end; next++) {
            cut.chars_n += next == p->task ? 0 : p->messages[next].chars_n;
            cut.messages_n += next != p->task;
        }
        cut.end_n = next;
        cut.turns_n += cut.messages_n > before_n;
        if (token_count(line, chars_n - cut.chars_n + HISTORY_NOTE_BYTES, messages_n - cut.messages_n + 1) <= tokens_n)
            break;
    }
    return cut;
}

void history_note(const struct history_cut *cut, char out[HISTORY_NOTE_BYTES])
{
    snprintf(out, HISTORY_NOTE_BYTES, "[%zu earlier message%s left out to fit the context]", cut->messages_n, cut->messages_n == 1 ? " was" : "s were");
}
