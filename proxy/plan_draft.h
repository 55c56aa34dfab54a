/*
 * plan_draft: a body on its way to the model that answers: its prompt as it was read, what its system prompt has become, and how much
 * of it there is (plan_write.c). Pure.
 */
#ifndef PROXY_PLAN_DRAFT_H
#define PROXY_PLAN_DRAFT_H

#include "proxy/plan.h"
#include "proxy/prompt.h"

struct plan_draft {
    struct plan *plan;
    const struct plan_rules *rules;
    struct prompt prompt;
    size_t own_n;          /* of the system's first messages those that are its client's */
    struct buf system;     /* what stands in their place, where they are too long */
    struct token_line line;
    size_t from;           /* the first message behind those that are left out, or mapped */
    uint64_t budget_tokens_n; /* for the prompt; UINT64_MAX: without bound */
    uint64_t chars_n;      /* of all that stays */
    size_t messages_n;
};

/* Reads the body (borrowed), and cuts its system prompt where that is too long; notes that in the plan. 0, -EINVAL, -ENOMEM, -EFBIG;
 * plan_draft_end() frees it in any case. */
int plan_draft_begin(struct plan_draft *d, struct plan *plan, const struct plan_rules *rules, const char *json, size_t json_n) WARN_UNUSED;
void plan_draft_end(struct plan_draft *d);

#endif
