/*
 * plan: what an optimised request becomes. How many tokens its prompt has decides which [strategy:NAME] answers it; that says the model,
 * its options and whether the prompt is made smaller first. Pure, over the body that Ollama's /api/chat is to get.
 *
 * Then a system prompt that is longer than [optimizer] system_budget is cut (truncate.h), and what is still beyond num_ctx loses
 * its oldest turns (history.h). All else of the body stays byte for byte.
 */
#ifndef PROXY_PLAN_H
#define PROXY_PLAN_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/json_walk.h"
#include "proxy/token_estimate.h"

enum { PLAN_WHY_BYTES = 1280, PLAN_PARTS_MAX = 256 };

struct prompt_counts {
    uint64_t chars_n; /* code points */
    size_t messages_n;
    uint64_t tokens_n; /* by the estimate of the model that answers */
};

/* The summaries of what was mapped, in their order; where one could not be made, what is to be said of it. */
struct plan_parts {
    const struct json_text *items; /* decoded UTF-8; all borrowed */
    size_t items_n; /* PLAN_PARTS_MAX at the most */
};

struct plan {
    int is_made;                          /* plan_make() has chosen */
    const struct conf_strategy *strategy; /* NULL: none is for it, and it passes with the model that it names */
    struct prompt_counts received;        /* as the client sent it */
    struct prompt_counts sent;            /* as the answering model gets it, once plan_write() has written it */
    uint64_t saved_tokens_n;              /* … so many fewer than it would have had to read */
    const char *model;                    /* that answers; the strategy's, borrowed */
    int is_truncated;                     /* its system prompt was cut */
    int is_exceeded;                      /* … and is longer than its budget all the same: by definitions of tools */
    size_t tools_found_n, tools_lost_n;   /* definitions of tools in a system prompt that was cut */
    size_t turns_dropped_n;               /* of the history */
    uint64_t num_ctx;                     /* in force; 0: not known here */
    enum { PLAN_DIRECT, PLAN_MAP, PLAN_REDUCE } step;
    const struct plan_parts *summaries;   /* of PLAN_REDUCE; borrowed */
};

/* All borrowed. */
struct plan_rules {
    const struct conf *conf;
    const struct token_estimates *estimates;
    const char *asked_model; /* as the client named it */
    unsigned unsaid;         /* options that stand in the body though its client did not say them: bits of enum translate_unsaid */
    size_t words_n;          /* the last so many of the system's first messages are ours, about tools: they are not cut */
};

/* The strategy of this name; NULL: there is none, and why (PLAN_WHY_BYTES) says for the client which there are. */
const struct conf_strategy *plan_find(const struct conf *conf, const char *name, char *why);

/* Chooses the strategy of a body: by how many tokens it has, or the one of forced_name (NULL: none is forced). step is PLAN_MAP where
 * the strategy maps, else PLAN_DIRECT. 0; -EINVAL with a text for the client in why (PLAN_WHY_BYTES); -ENOMEM. Of a body that can't
 * be read it says nothing, and strategy is NULL: the backend tells what is wrong with it. */
int plan_make(struct plan *p, const struct plan_rules *rules, const char *json, size_t json_n, const char *forced_name, char *why) WARN_UNUSED;

/* The body as it is sent to the model that answers, in out, which is empty before; with summaries in the place of what was mapped (all
 * between the system's first messages and the user's last one), where they are not NULL. Notes what it did in *p. 0; -E2BIG where it is
 * longer than num_ctx lets it be, or -EINVAL, with a text for the client in why; -ENOMEM, -EFBIG. On failure out is empty. */
int plan_write(struct plan *p, const struct plan_rules *rules, const char *json, size_t json_n, const struct plan_parts *summaries,
               struct buf *out, char *why) WARN_UNUSED;

/* How many tokens items_n summaries may have together, beside all else that the answering model gets; 0 where nothing is left, UINT64_MAX
 * where nobody says what num_ctx is. */
uint64_t plan_summaries_room(struct plan *p, const struct plan_rules *rules, const char *json, size_t json_n, size_t items_n);

#endif
