/*
 * notice: what goes wrong on the supervisor's page, noted among the last errors, once for each change: programs, Ollama's trouble, models of the
 * preload list, engines. Time is an argument.
 */
#ifndef PROXY_OBSERVE_NOTICE_H
#define PROXY_OBSERVE_NOTICE_H

#include "common/contract.h"
#include "proxy/observe/recent.h"

/* What was seen of each row, as a hash; 0: nothing is wrong. All zero: nothing yet. */
struct notice {
    uint64_t programs[CONTRACT_PROGRAMS], models[CONTRACT_MODELS], instances[CONTRACT_INSTANCES];
    int64_t trouble_at_ms;
};

/* The page may have changed. now_ms: monotonic, as times on the page. */
void notice_page(struct notice *n, const struct contract_page *page, struct recent *r, int64_t now_ms, int64_t realtime_ms);

#endif
