/*
 * access: what the access log tells of one request, and its line: text or JSON. It gathers facts and decides nothing.
 */
#ifndef PROXY_ACCESS_H
#define PROXY_ACCESS_H

#include "common/contract.h"
#include "proxy/ending.h"
#include "proxy/message.h"
#include "proxy/peer.h"

#include <string.h>

struct route;

enum { ACCESS_ID_BYTES = 129, ACCESS_ERROR_BYTES = 256 };

/* Who ended a request. Closed, in documents too: docs/access-log.md. */
enum access_end {
    ACCESS_DONE,                /* the answer went to the client whole, whatever its status says */
    ACCESS_REFUSED,             /* an error of our own: the request can't be served, or not now */
    ACCESS_TIMEOUT,             /* a limit on time of ours: header, body, hold */
    ACCESS_CLIENT_GONE,         /* the client left before its answer was whole */
    ACCESS_CLIENT_STALLED,      /* it took no byte for write_timeout */
    ACCESS_BACKEND_UNREACHABLE, /* no connection, or one that gave no answer */
    ACCESS_BACKEND_BROKEN,      /* its answer broke off */
    ACCESS_BACKEND_UNFINISHED,  /* its answer ended, and never said that it is done */
    ACCESS_BACKEND_ERROR,       /* it told an error in the middle of its answer */
    ACCESS_DRAINED,             /* we are shutting down */
    ACCESS_CANCELLED,           /* by the operator */
    ACCESS_FAILED,              /* we could not: memory */
    ACCESS_END_COUNT
};

/* What the optimizer has made of a request; all zero: nothing, as it is none of its. */
struct access_optimised {
    const char *strategy; /* its name, which outlives it; NULL: none was chosen */
    uint64_t tokens_received_n, tokens_saved_n; /* estimated; of a request with a strategy */
    uint64_t parts_n, parts_failed_n;           /* … that were mapped, and of them those left out */
    const char *cache;    /* "hit", "miss", or NULL: it was none of the cache's */
    int is_shared;        /* it joined an answer that was under way */
};

struct access {
    int64_t began_ms;
    int64_t first_byte_ms;  /* 0: none was sent */
    int64_t wait_ms;        /* for Ollama and its model */
    int64_t load_ms;        /* for its model to be loaded by us */
    int64_t queue_ms;       /* for a slot */
    int64_t repaired_n;     /* tool calls that its model wrote as text */
    uint64_t in_bytes;
    enum access_end ended;
    int status;             /* 0: none was sent */
    const struct route *route; /* which outlives it; NULL: none of ours, or it could not be read */
    char *error;            /* owned: the first ACCESS_ERROR_BYTES of what its client was told of an error; NULL: nothing */
    int is_stream;          /* its answer, of which the first byte is the first token's */
    int is_made_inside;     /* an exchange of our own asked for it, and counted its tokens */
    const char *code;       /* of an error of our own, a literal; or NULL */
    char *backend;          /* owned, as such an Ollama may be gone: who was asked, of [backend:NAME], or an Ollama of several; NULL: the one Ollama */
    enum contract_sleep asleep; /* Ollama's, where the answer is what was known of it; else AWAKE */
    const char *key;        /* the name of the key that it came with, which outlives it; or NULL */
    struct ending_facts facts;
    struct access_optimised optimised;
    char id[ACCESS_ID_BYTES]; /* this and what is below are strings: nothing behind their ends is written */
    char client[IP_TEXT_BYTES];
    char model[CONTRACT_NAME_BYTES];
};

/* Of a request that began then. client: who asks, as far as its connection tells. */
void access_init(struct access *a, const char *client, int64_t began_ms);

/* What each request needs, at a tenth of what printf takes: the text, cut. */
static inline void access_copy(char *out, size_t out_n, const char *text)
{
    size_t n = strnlen(text, out_n - 1);
    memcpy(out, text, n);
    out[n] = '\0';
}

/* Frees what it has, for another access_init(). */
void access_fini(struct access *a);

/* Who is to be named for an error of our own. code: NULL where there is none. */
enum access_end access_end_of(int status, const char *code);
const char *access_end_name(enum access_end end);

/* Writes the line. request: as far as it was read. out_bytes: what the client's socket took of the answer. */
void access_write(const struct access *a, const struct message *request, int is_json, int64_t now_ms, uint64_t out_bytes);

#endif
