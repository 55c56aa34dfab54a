/*
 * fetch: GETs from a hub, and from where it leads, several side by side, over libcurl. The token goes to the endpoint alone: neither to another
 * host, port or scheme, nor back to the endpoint once a redirect has led away.
 */
#ifndef PRELOAD_HUB_FETCH_H
#define PRELOAD_HUB_FETCH_H

#include "preload/hub/settings.h"

#include <curl/curl.h>

enum { FETCH_URL_BYTES = 4096, FETCH_VALUE_BYTES = 300, FETCH_REDIRECTS_MAX = 8, FETCH_CONNECT_MS = 10 * 1000, FETCH_HEADER_LIMIT_BYTES = 256 * 1024,
       FETCH_RETRY_AFTER_MAX_S = 7 * 24 * 3600 };

/* What the heads of an answer have said; "" and -1 where they said nothing. */
struct fetch_head {
    long status;
    int64_t length;          /* Content-Length */
    int64_t range_first, range_total; /* Content-Range */
    int64_t retry_after_s;   /* Retry-After, or a RateLimit that is used up; FETCH_RETRY_AFTER_MAX_S at the most */
    int64_t retry_at_s, date_s; /* Retry-After as a date, Date: seconds since 1970 */
    int is_encoded;          /* Content-Encoding other than identity */
    int is_elsewhere;        /* a redirect has led away from the endpoint: it is not the hub that answers */
    char next[FETCH_URL_BYTES];             /* Link, rel="next"; perhaps relative */
    char error_code[64];                    /* X-Error-Code */
    char error_message[FETCH_VALUE_BYTES];  /* X-Error-Message */
    char linked_etag[FETCH_VALUE_BYTES];    /* X-Linked-Etag of the first answer that has one, without its quotes */
};

struct fetch;
/* A piece of the body of a 200 or 206: 0, or -errno, which ends the fetch. */
typedef int fetch_bytes_fn(void *context, const struct fetch_head *head, const char *bytes, size_t bytes_n);
/* It has ended: lost is NULL, or says why there is no whole answer; error: what fetch_bytes_fn has returned. The fetch may be started again from within. */
typedef void fetch_end_fn(void *context, const struct fetch_head *head, const char *lost, int error);

struct fetcher {
    const struct settings *settings; /* borrowed */
    CURLM *multi;
    struct curl_slist *open, *trusted; /* request headers: without the token, and with it */
};

struct fetch {
    struct fetcher *fetcher;
    CURL *easy;
    int is_running, has_left; /* a redirect has led to another place */
    int is_cut;               /* a body that nobody wants has ended it */
    int redirects_n, error;
    uint64_t first; /* the first byte that is wanted */
    size_t header_n;
    struct fetch_head head;
    char why[CURL_ERROR_SIZE];
    fetch_bytes_fn *on_bytes;
    fetch_end_fn *on_end;
    void *context;
};

/* Call curl_global_init(CURL_GLOBAL_SSL) before. 0 or -ENOMEM. */
int fetcher_init(struct fetcher *r, const struct settings *settings) WARN_UNUSED;
void fetcher_fini(struct fetcher *r);
/* Waits for a transfer, for fd to be readable, or for timeout_ms; moves what can be moved. */
void fetcher_turn(struct fetcher *r, int fd, int timeout_ms);

void fetch_init(struct fetch *f, struct fetcher *r, fetch_bytes_fn *on_bytes, fetch_end_fn *on_end, void *context);
void fetch_fini(struct fetch *f);
/* url: absolute, of the endpoint; first: from this byte on. 0 or -ENOMEM. */
int fetch_start(struct fetch *f, const char *url, uint64_t first) WARN_UNUSED;
/* on_end does not come. */
void fetch_cancel(struct fetch *f);

/* Pure: one line of a head, with its line end, into *head; the values of an answer before it are forgotten at its first line. */
void fetch_head_line(struct fetch_head *head, const char *line, size_t line_n);
/* Pure: behind the last line: dates become seconds. now_s: since 1970, for who sends no Date. */
void fetch_head_end(struct fetch_head *head, int64_t now_s);
/* Pure: the URL that a reference in an answer leads to, which base was asked for. 0, or -EINVAL with an empty out. */
int fetch_resolve(char out[FETCH_URL_BYTES], const char *base, const char *reference) WARN_UNUSED;
/* Pure: 1 where both URLs have the same scheme, host and port. */
int fetch_is_same_origin(const char *a, const char *b);

#endif
