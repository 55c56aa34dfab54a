/*
 * pull_failure: why a pull failed, in one word for the log, one sentence for people, and whether trying again helps.
 */
#ifndef COMMON_PULL_FAILURE_H
#define COMMON_PULL_FAILURE_H

#include "common/sys.h"

enum failure {
    FAILURE_NONE,
    FAILURE_DISK_FULL,
    FAILURE_STORE,         /* Ollama may not write where its models are */
    FAILURE_UNKNOWN_MODEL,
    FAILURE_BAD_NAME,
    FAILURE_OLD_OLLAMA,    /* the model wants a newer one */
    FAILURE_UNAUTHORISED,
    FAILURE_REFUSED,       /* the registry says 4xx for another reason */
    FAILURE_NETWORK,
    FAILURE_BROKEN_OFF,    /* the registry was there, and then it was not */
    FAILURE_REGISTRY_BUSY, /* 429 and 5xx */
    FAILURE_CORRUPT,
    FAILURE_STALLED,
    FAILURE_GARBAGE,       /* what answers does not speak Ollama's protocol */
    FAILURE_CUT,           /* the answer ended without success and without an error */
    FAILURE_GONE,          /* the connection to Ollama was lost */
    FAILURE_UNLISTED,
    FAILURE_NO_ANSWER,     /* Ollama's API never answered */
    FAILURE_STOPPED,
    FAILURE_OTHER,
    FAILURE_COUNT
};

/* What an error text of Ollama, or without one the HTTP status of its answer, means. text may be "". */
enum failure failure_classify(const char *text, long http_status);

/* The word for the log, such as disk_full. */
const char *failure_word(enum failure kind);

/* 1 where trying again can't help until somebody does something. */
int failure_is_final(enum failure kind);

/* The sentence with what to do; detail (a text from outside, already clean, or "") follows in brackets. */
void failure_reason(char *out, size_t out_n, enum failure kind, const char *detail);

#endif
