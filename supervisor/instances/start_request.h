/*
 * start_request: what CONTRACT_ENGINE_START asks for, as a message of a proxy says it. Pure: none of it is believed before it was looked at.
 */
#ifndef SUPERVISOR_INSTANCES_START_REQUEST_H
#define SUPERVISOR_INSTANCES_START_REQUEST_H

#include "common/contract.h"

enum { START_REQUEST_REVISION_N = 40, START_REQUEST_LENGTH_MAX = 1000000000, START_REQUEST_WHY_BYTES = 160, START_REQUEST_PATH_BYTES = 4096 };

struct start_request {
    char engine[CONTRACT_ENGINE_BYTES]; /* its name, whoever may be called so */
    char revision[START_REQUEST_REVISION_N + 1];
    int64_t length_n;                 /* tokens of context at the most */
    int is_quantized;                 /* q4: to 4 bits */
    char file[CONTRACT_DETAIL_BYTES]; /* within the snapshot; "": the snapshot as a whole */
};

/* The message's detail: "ENGINE REVISION LENGTH q4|full [FILE]". 0, or -EINVAL with words in why. */
int start_request_parse(const char *detail, struct start_request *out, char why[START_REQUEST_WHY_BYTES]) WARN_UNUSED;
/* Where the snapshot of this model (ORG/NAME, or NAME) is in the hub's cache: CACHE/models--ORG--NAME/snapshots/REVISION. 0 or
 * -ENAMETOOLONG. */
int start_request_path(const struct start_request *r, const char *cache, const char *model, char out[START_REQUEST_PATH_BYTES]) WARN_UNUSED;

#endif
