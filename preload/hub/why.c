/*
 * See why.h. A hub tells missing and forbidden repositories apart by X-Error-Code alone: who has no token gets 401 for a name that it never heard of, as
 * that could be a private one.
 */
#include "preload/hub/why.h"

#include <string.h>

static int is_code(const struct fetch_head *head, const char *code)
{
    return strcmp(head->error_code, code) == 0;
}

/* How to get in: with a token, or another one. */
static const char *token_advice(const struct settings *s)
{
    return *s->token ? "the token that is set has no right to it" : "set HF_TOKEN to a token of an account that may read it";
}

static void not_found(struct trouble *t, const struct fetch_head *head, const char *what, const struct settings *s)
{
    if (is_code(head, "RevisionNotFound"))
        trouble_set(t, TROUBLE_NOT_FOUND, "%s is not at %s in this revision: %s", what, s->endpoint, head->error_message);
    else if (is_code(head, "EntryNotFound"))
        trouble_set(t, TROUBLE_NOT_FOUND, "%s is not there any more: the repository at %s has changed meanwhile; pull again", what, s->endpoint);
    else
        trouble_set(t, TROUBLE_NOT_FOUND, "%s is not at %s: check its name; where it is private, %s", what, s->endpoint, token_advice(s));
}

static void refused(struct trouble *t, const struct fetch_head *head, const char *what, const struct settings *s)
{
    int is_unknown = head->status == 401 && !*s->token && !head->error_code[0];
    const char *message = head->error_message[0] ? head->error_message : "it gives no reason";
    if (is_code(head, "GatedRepo"))
        trouble_set(t, TROUBLE_GATED, "%s is gated: ask for access on its page at %s, then %s (%s)", what, s->endpoint, token_advice(s), message);
    else if (is_code(head, "RepoNotFound") || is_unknown)
        not_found(t, head, what, s);
    else if (head->status == 401)
        trouble_set(t, TROUBLE_UNAUTHORIZED, "%s does not take the token for %s: %s; set HF_TOKEN to one that is valid", s->endpoint, what, message);
    else if (is_code(head, "DisabledRepo") || head->status == 451)
        trouble_set(t, TROUBLE_FORBIDDEN, "%s gives %s to nobody: %s", s->endpoint, what, message);
    else
        trouble_set(t, TROUBLE_FORBIDDEN, "%s refuses %s: %s; %s", s->endpoint, what, message, token_advice(s));
}

void why_of(struct why *w, const struct fetch_head *head, const char *lost, const char *what, const struct settings *s)
{
    struct trouble *t = &w->trouble;
    long status = head->status;
    *w = (struct why){.is_final = 1};
    if (lost) {
        w->is_final = 0;
        trouble_set(t, TROUBLE_NETWORK, "%s could not be had from %s: %s; check the network, and HF_ENDPOINT", what, s->endpoint, lost);
    } else if (head->is_elsewhere && status >= 400 && status < 500 && status != 429) { /* its link is good for a while; the hub has a new one */
        w->is_final = 0;
        trouble_set(t, TROUBLE_NETWORK, "where %s leads to for %s answers HTTP %ld; pull again later", s->endpoint, what, status);
    } else if (status == 401 || status == 403 || status == 451) {
        refused(t, head, what, s);
    } else if (status == 404 || status == 410) {
        not_found(t, head, what, s);
    } else if (status == 429) {
        w->is_final = 0;
        t->retry_after_s = head->retry_after_s > 0 ? head->retry_after_s : 0;
        trouble_set(t, TROUBLE_RATE_LIMITED, "%s wants fewer requests (HTTP 429) for %s; pull again later%s", s->endpoint, what,
                    *s->token ? "" : ", or set HF_TOKEN: who has an account may ask more often");
    } else if (status == 408 || status >= 500) {
        w->is_final = 0;
        t->retry_after_s = head->retry_after_s > 0 ? head->retry_after_s : 0;
        trouble_set(t, TROUBLE_NETWORK, "%s answers HTTP %ld for %s; pull again later", s->endpoint, status, what);
    } else if (status != 200 && status != 206) {
        trouble_set(t, TROUBLE_NETWORK, "%s answers HTTP %ld for %s: %s", s->endpoint, status, what, head->error_message[0] ? head->error_message : "is HF_ENDPOINT a hub?");
    }
}

int64_t why_pause_ms(const struct why *w, struct retry *retry, int64_t retries, int has_progress, uint32_t random)
{
    int64_t asked_ms = w->trouble.retry_after_s * 1000;
    if (w->is_final || w->trouble.retry_after_s > WHY_PAUSE_MAX_S)
        return -1;
    int64_t pause_ms = retry_after_failure(retry, retries, has_progress, random);
    return pause_ms >= 0 && asked_ms > pause_ms ? asked_ms : pause_ms;
}
