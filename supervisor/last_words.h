/*
 * last_words: which of a program's last lines says why it died. A crash of Go's says it first, and then some hundred frames of
 * stacks; ggml and C++ do alike; others say it last. A pure judgement.
 */
#ifndef SUPERVISOR_LAST_WORDS_H
#define SUPERVISOR_LAST_WORDS_H

#include "common/log.h"

enum {
    LAST_WORDS_BYTES = 200,
    LAST_WORDS_MS = 5000, /* what was said longer ago was survived */
};

/* How much a line says of a death. */
enum last_words_weight {
    LAST_WORDS_ANY,
    LAST_WORDS_ERROR, /* it calls itself an error, or is what Python ended with */
    LAST_WORDS_CRASH, /* nobody says it and lives on: a panic, a failed assertion, an error of the GPU's driver */
};

/* All zero: nothing was said. */
struct last_words {
    char text[LAST_WORDS_BYTES];
    enum last_words_weight weight;
    int64_t at_ms;
};

/* What a line says; level: what level_of_line takes it for. */
enum last_words_weight last_words_weigh(const char *line, enum log_level level);
/* Takes a line (without escape codes, not blank) that was said at now_ms: it replaces what weighs less or is too old, and an
 * error the one before; of a crash the first line stays. */
void last_words_take(struct last_words *w, const char *line, enum log_level level, int64_t now_ms);

#endif
