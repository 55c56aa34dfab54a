/*
 * pull_ask: what is asked for by POST /pull, as the job at the hub's cache wants it. Pure. R1.1
 *
 *     {"model": "org/name", "quantize": "auto"|"q4"|"fp32"|"fp16"|"no", "init": false, "stream": false, "revision": "main"}
 */
#ifndef PROXY_SERVE_PULL_ASK_H
#define PROXY_SERVE_PULL_ASK_H

#include "common/contract.h"

enum {
    PULL_ASK_REVISION_BYTES = 200,
    PULL_ASK_REQUEST_BYTES = CONTRACT_NAME_BYTES + PULL_ASK_REVISION_BYTES + 100,
    PULL_ASK_WHY_BYTES = 1024,
};

struct pull_ask {
    char model[CONTRACT_NAME_BYTES]; /* as the hub has it: without `:latest` */
    char request[PULL_ASK_REQUEST_BYTES]; /* the job's: equal ones are one job */
    int is_stream;
    int init; /* it is to be loaded, too */
};

/* 0; -EINVAL with every mistake in why (PULL_ASK_WHY_BYTES). */
int pull_ask_read(struct pull_ask *a, const char *json, size_t json_n, char *why) WARN_UNUSED;

/* A model's name as clients write it, as the hub has it: `:latest` behind it, which Ollama's clients write, is nothing. 0; -EINVAL with the reason in why
 * (PARSE_WHY_BYTES). */
int pull_ask_name(const char *text, char out[CONTRACT_NAME_BYTES], char *why) WARN_UNUSED;

#endif
