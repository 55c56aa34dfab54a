/*
 * http: one request at a time to an Ollama, over libcurl.
 */
#ifndef PRELOAD_HTTP_H
#define PRELOAD_HTTP_H

#include "common/parse.h"

#include <curl/curl.h>

enum { HTTP_CONNECT_MS = 5000, HTTP_HEADER_LIMIT_BYTES = 256 * 1024 };

typedef void http_bytes_fn(void *context, const char *bytes, size_t bytes_n);

struct http {
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char *base; /* http://HOST:PORT, or https, and a path where it has one; owned */
    char error[CURL_ERROR_SIZE];
    char *body; /* of the request; owned */
    size_t header_n; /* bytes of header lines so far */
    int is_running;
    int is_literal; /* the address needs no resolver */
    http_bytes_fn *fn;
    void *context;
};

/* How a request ended; text is borrowed until the next call. */
struct http_answer {
    int is_lost;
    long status;
    const char *text;
};

/* url: of a server (parse_url), copied; key: what it is sent as Authorization: Bearer, "": nothing. 0, or -ENOMEM with an empty h. Call
 * curl_global_init before, for https with CURL_GLOBAL_SSL. */
int http_init(struct http *h, const char *url, const char *key, http_bytes_fn *fn, void *context) WARN_UNUSED;
void http_fini(struct http *h);

/* GET where json is NULL, else POST. A request that is still under way is cancelled. 0 or -ENOMEM. */
int http_start(struct http *h, const char *path, const char *json) WARN_UNUSED;
/* Closes the connection, by which Ollama knows. */
void http_cancel(struct http *h);

/* Waits for a transfer of one of them, for one of fds (POLLIN), or for timeout_ms. all_n: 1 to HTTP_ALL_MAX; fds_n: up to HTTP_FDS_MAX. */
enum { HTTP_ALL_MAX = 64, HTTP_FDS_MAX = 4 };
void http_wait(struct http *const *all, size_t all_n, const int *fds, size_t fds_n, int timeout_ms);
/* Moves what can be moved; the bytes go to fn. 1 with *answer when the request has ended, else 0. */
int http_perform(struct http *h, struct http_answer *answer) WARN_UNUSED;

#endif
