/*
 * settings: what a job goes by: [models] of supervisor.ini, and the variables of the environment that the hub's own clients read.
 */
#ifndef PRELOAD_HUB_SETTINGS_H
#define PRELOAD_HUB_SETTINGS_H

#include "common/conf.h"
#include "preload/hub/trouble.h"

enum { SETTINGS_TOKEN_BYTES = 512, SETTINGS_FORMATS = CONF_ENGINES_MAX };

struct settings {
    const char *cache;    /* absolute, without a slash at its end */
    const char *endpoint; /* the same of the hub's URL */
    char token[SETTINGS_TOKEN_BYTES]; /* ""; never told to anybody but the endpoint */
    int is_offline;       /* HF_HUB_OFFLINE=1 */
    const struct list *allow, *ignore;
    int64_t downloads_n;
    int64_t retries;
    int64_t q4_threshold_bytes;
    int64_t stall_ms;     /* a download that brings nothing for so long is begun anew */
    int may_run_code;     /* [models] remote_code */
    enum conf_format formats[SETTINGS_FORMATS]; /* of the engines that are used, the one to be preferred first */
    size_t formats_n;
};

/* conf stays the owner of its texts. 0, or -1 where a variable can't be used: then trouble says which. */
int settings_init(struct settings *s, const struct conf *conf, struct trouble *t) WARN_UNUSED;

#endif
