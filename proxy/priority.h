/*
 * priority: which requests go before others: 0 to 9, 9 first, as `priority` of a request's body says it, X-Priority of its head, or its key. Pure.
 */
#ifndef PROXY_PRIORITY_H
#define PROXY_PRIORITY_H

#include "proxy/balance/balance.h"
#include "proxy/message.h"

enum { PRIORITY_UNSAID = -1, PRIORITY_WHY_BYTES = 160 };

/* What a request says. */
struct priority_said {
    int of_body, of_head; /* or PRIORITY_UNSAID */
    int is_in_body;       /* the body has such a member, a null one too */
};

/* A body that is no JSON object says nothing: who answers it will say what is wrong. Of several members the last counts, whatever their names' case.
 * 0; -EINVAL, with what is wrong, where, and what would be right, in why. */
int priority_read(struct priority_said *said, const struct message *request, const char *json, size_t json_n, char why[PRIORITY_WHY_BYTES]) WARN_UNUSED;
/* What counts: the body's word, then the head's, then its key's; and no more than its key's. of_key: PRIORITY_UNSAID where there is none, or it does not say. */
unsigned priority_choose(const struct priority_said *said, int of_key);

#endif
