/*
 * lister: who knows the models of several Ollamas, for those who ask one Ollama otherwise (puller.h, upstreams.h): one list of all of them.
 */
#ifndef PROXY_LISTER_H
#define PROXY_LISTER_H

#include "common/buf.h"

struct lister {
    /* 1: the list is as fresh as it can be; 0: it will be, and who asked is told (puller_relist, upstreams_relist). */
    int (*refresh)(void *context, int64_t older_ms);
    int (*write)(void *context, struct buf *out); /* as GET /api/tags. 0 or -errno */
    void *context;
};

#endif
