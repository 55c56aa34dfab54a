/*
 * cooldowns: loads that have failed again and again, and are not tried for a while. A load is a model and the options that it
 * is loaded with: a smaller context may well be had where a larger one is not. Pure.
 */
#ifndef PROXY_COOLDOWNS_H
#define PROXY_COOLDOWNS_H

#include "common/contract.h"
#include "proxy/load_options.h"

enum {
    COOLDOWNS_ROWS = 64,          /* loads that have failed of late; one more takes the place of the oldest */
    COOLDOWNS_AFTER = 3,          /* failures in a row */
    COOLDOWNS_FIRST_MS = 10000,   /* the first pause is so long, */
    COOLDOWNS_GROWTH = 3,         /* and each that follows so many times as long as the one before, up to load_cooldown */
    COOLDOWNS_WHY_BYTES = 256,
    COOLDOWNS_TEXT_BYTES = COOLDOWNS_WHY_BYTES + CONTRACT_NAME_BYTES + 128,
};

struct cooldown {
    char model[CONTRACT_NAME_BYTES]; /* "": a free row */
    struct load_options options;
    unsigned failures_n;             /* in a row */
    int is_suspect;                  /* the backend has died while it was loaded, perhaps of it */
    int64_t failed_ms;               /* the last time */
    int64_t length_ms;               /* of the last pause; 0: there was none */
    char why[COOLDOWNS_WHY_BYTES];   /* it has failed */
};

struct cooldowns {
    int64_t longest_ms; /* [models] load_cooldown; 0: every load is tried */
    struct cooldown rows[COOLDOWNS_ROWS];
};

void cooldowns_init(struct cooldowns *c, int64_t longest_ms);

/* The row of a load that is not to be tried before cooldown_until_ms; NULL: it may be. */
const struct cooldown *cooldowns_look(const struct cooldowns *c, const char *model, const struct load_options *options, int64_t now_ms);
/* Whether the backend may have died of this model: it is loaded while no other is, so that the others have nothing to do with it. */
int cooldowns_is_suspect(const struct cooldowns *c, const char *model);

/* A load has failed. is_lost: the backend died of it. The row where a pause begins with that, else NULL. */
const struct cooldown *cooldowns_failed(struct cooldowns *c, const char *model, const struct load_options *options, const char *why,
                                        int is_lost, int64_t now_ms);
/* … has ended well: what was counted of it is forgotten. The number of pauses that end with that. */
size_t cooldowns_loaded(struct cooldowns *c, const char *model, const struct load_options *options);
/* Everything may be another by now: a model was changed, or the backend. The number of pauses that end with that. */
size_t cooldowns_forget(struct cooldowns *c);

/* When it may be tried again; 0: at any time. */
int64_t cooldown_until_ms(const struct cooldown *row);
/* A sentence for clients: which model, how often, why, and when it is tried again. */
void cooldown_text(const struct cooldown *row, int64_t now_ms, char out[COOLDOWNS_TEXT_BYTES]);

#endif
