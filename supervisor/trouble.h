/*
 * trouble: what went wrong last with Ollama, or with a process that it runs: who says so, and who is believed. Pure.
 */
#ifndef SUPERVISOR_TROUBLE_H
#define SUPERVISOR_TROUBLE_H

#include "common/contract.h"
#include "common/log.h"

enum { TROUBLE_STANDS_MS = 2000 }; /* so long what is known well is not replaced by what says less of the same death */

/* How well it is known what went wrong; the later the better. */
enum trouble_kind {
    TROUBLE_NONE,
    TROUBLE_RUNNER,  /* Ollama says that a runner of its own has ended */
    TROUBLE_CRASH,   /* somebody below us has said so while dying */
    TROUBLE_MEMORY,  /* the kernel has killed a process */
    TROUBLE_PROGRAM, /* Ollama itself has ended, is stopped, or hung */
};

struct trouble {
    enum trouble_kind kind; /* of what is on the page */
    int64_t at_ms;          /* loop time */
};

/* Whether this is to be told at now_ms; remembers it then. */
int trouble_take(struct trouble *t, enum trouble_kind kind, int64_t now_ms);
/* What a line of Ollama's log says of a death, as words in out, or TROUBLE_NONE. */
enum trouble_kind trouble_of_line(const char *line, enum log_level level, char out[CONTRACT_REASON_BYTES]);

#endif
