/*
 * plan_system: the system's first messages of a prompt, made one that is short enough (R4.3; truncate.h). Pure.
 */
#ifndef PROXY_PLAN_SYSTEM_H
#define PROXY_PLAN_SYSTEM_H

#include "proxy/prompt.h"
#include "proxy/truncate.h"

/* The texts of the first messages_n messages, an empty line between them, made shorter, where they have more than budget_chars code points. out: empty; decoded.
 * r->is_truncated says whether they had; if not, nothing is appended. 0; -EINVAL for an escape that is none, -ENOMEM, -EFBIG. */
int plan_system_cut(const struct prompt *p, size_t messages_n, size_t budget_chars, struct buf *out, struct truncate_result *r) WARN_UNUSED;

/* How many code points they have, the lines between them not counted. */
size_t plan_system_chars(const struct prompt *p, size_t messages_n);

#endif
