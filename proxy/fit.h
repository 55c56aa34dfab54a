/*
 * fit: whether a model can be loaded within the limit on memory at all, by what its backend says of it. Only where the supervisor
 * runs the backend, and no GPU may take a part of it. Pure, but for the log.
 */
#ifndef PROXY_FIT_H
#define PROXY_FIT_H

#include "common/conf.h"
#include "common/contract.h"
#include "proxy/estimate.h"

enum {
    FIT_MODELS = 64,                /* that are known; one more takes the place of the longest unused */
    FIT_RESERVE_BYTES = 64 << 20,   /* of the limit: for Ollama itself, and for us */
    FIT_TEXT_BYTES = 640,
};

struct fit_model {
    char model[CONTRACT_NAME_BYTES]; /* "": a free row */
    struct model_shape shape;
    struct load_options refused;     /* what was told last not to fit */
    uint64_t used;
    int is_told;                     /* there is such a one */
    int is_warned;                   /* that its weights do not stay in memory */
};

struct fit {
    int64_t limit_bytes; /* 0: nothing is checked */
    int is_gpu_possible;
    struct estimate_server server;
    uint64_t uses;
    struct fit_model rows[FIT_MODELS];
};

enum fit_verdict {
    FIT_WELL,    /* it is to be tried */
    FIT_UNKNOWN, /* … and asked for beside: fit_learn */
    FIT_NOT,     /* it can't be loaded so */
};

/* Whether this machine may have a GPU. */
int fit_has_gpu_device(void);
/* page: NULL where there is no supervisor. Looks for a GPU. */
void fit_init(struct fit *f, const struct conf *conf, const struct contract_page *page);

/* Of what is known. text: of NOT, a sentence with the figures, and what would help. Warns where it is mapped, and its weights can't
 * stay in memory. */
enum fit_verdict fit_judge(struct fit *f, const char *model, const struct load_options *options, char text[FIT_TEXT_BYTES]);
/* What POST /api/show has said of it; json is NULL where it has said nothing: it is asked again with the next load. */
void fit_learn(struct fit *f, const char *model, const char *json, size_t json_n);
/* It was refused: a line in the log, once for the same options. */
void fit_tell(struct fit *f, const char *model, const struct load_options *options, const char *text);
/* Models, or the backend, may be others by now. */
void fit_forget(struct fit *f);

#endif
