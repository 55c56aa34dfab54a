/*
 * reasons: puts what went wrong with Ollama (trouble.h) on the page, where proxies find the reason of an answer that broke
 * (common/contract.h).
 */
#ifndef SUPERVISOR_REASONS_H
#define SUPERVISOR_REASONS_H

#include "supervisor/state.h"

/* Puts it on the page and tells the proxies, where it says more than what stands there. */
void reasons_tell(struct supervisor *s, enum trouble_kind kind, const char *format, ...) PRINTF_LIKE(3, 4);
/* A program's state has changed, or it has written a line that it calls a warning or an error; of Ollama's it is looked at. */
void reasons_follow(struct supervisor *s, const struct child *c);
void reasons_said(struct supervisor *s, const struct child *c, const char *line, enum log_level level);
/* The kernel has killed a process for want of memory: of Ollama's, or nobody knows whose. limit: in words, or "". */
void reasons_killed(struct supervisor *s, const char *owner, const char *limit);

#endif
