/*
 * optimizer: what the optimizer for coding agents keeps over requests ([optimizer], [strategy:NAME]); what it does with one is the
 * exchange's business.
 */
#ifndef PROXY_OPTIMIZER_H
#define PROXY_OPTIMIZER_H

#include "common/buf.h"
#include "common/conf.h"
#include "common/siphash.h"
#include "proxy/cache.h"
#include "proxy/optimizer_stats.h"
#include "proxy/share.h"
#include "proxy/token_estimate.h"
#include "proxy/workers.h"

struct optimizer {
    const struct conf *conf;
    struct token_estimates estimates;
    struct workers_table workers; /* how many parts each model maps at once */
    struct optimizer_stats stats;
    struct shares shares; /* answers that are being made, and may be joined */
    struct cache cache;
    unsigned char secret[SIPHASH_BYTES]; /* by which bodies are hashed; each proxy has another */
};

/* conf: borrowed for its life. */
void optimizer_init(struct optimizer *o, const struct conf *conf);
void optimizer_fini(struct optimizer *o);

/* Appends what it has done as one more member of an object: `,"optimizer":{…}`. 0 or -errno. */
int optimizer_write(const struct optimizer *o, struct buf *out) WARN_UNUSED;

#endif
