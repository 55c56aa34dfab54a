/*
 * logs_query: what the query of GET /sidecar/logs asks for (docs/status-api.md). Pure.
 */
#ifndef PROXY_OBSERVE_LOGS_QUERY_H
#define PROXY_OBSERVE_LOGS_QUERY_H

#include "common/contract.h"
#include "common/parse.h"

enum {
    LOGS_QUERY_LINES = 200, /* where it does not say how many */
    LOGS_QUERY_WHY_BYTES = PARSE_WHY_BYTES + 96,
};

struct logs_query {
    unsigned lines_n;
    int is_following;
    char program[CONTRACT_NAME_BYTES]; /* "": all. Not checked for being the name of one */
};

/* text: the query as it came, with its question mark; or nothing. 0, or -EINVAL with a sentence in why that says where. */
int logs_query_read(struct logs_query *out, const char *text, size_t text_n, char why[LOGS_QUERY_WHY_BYTES]) WARN_UNUSED;

#endif
