/*
 * history: which messages of a chat that is too long are left out: the oldest turns, whole. A turn is a message of the user's and all behind
 * it up to his next one. The system's messages at the beginning, the task (prompt.h), and his last one with what is behind it, always
 * stay. Pure.
 */
#ifndef PROXY_HISTORY_H
#define PROXY_HISTORY_H

#include "proxy/prompt.h"
#include "proxy/token_estimate.h"

/* What is left out: messages_n of those behind the system's and before end_n; the task (prompt.h) is none of them. */
struct history_cut {
    size_t messages_n, turns_n, end_n;
    uint64_t chars_n; /* theirs */
};

enum { HISTORY_NOTE_BYTES = 96 };

/* As few turns as will do, so that a prompt that has chars_n in messages_n has no more than tokens_n then, the note included; all that may
 * be left out where that does not do. */
struct history_cut history_cut(const struct prompt *p, struct token_line line, uint64_t chars_n, size_t messages_n, uint64_t tokens_n);

/* What stands in their place. */
void history_note(const struct history_cut *cut, char out[HISTORY_NOTE_BYTES]);

#endif
