/*
 * http: one request at a time to Ollama, over libcurl.
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
    char base[ADDRESS_TEXT_BYTES + 8]; /* http://HOST:PORT */
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

/* 0, or -ENOMEM with an empty h. Call curl_global_init before. */
int http_init(struct http *h, const struct address *backend, http_bytes_fn *fn, void *context) WARN_UNUSED;
void http_fini(struct http *h);

/* GET where json is NULL, else POST. A request that is still under way is cancelled. 0 or -ENOMEM. */
int http_start(struct http *h, const char *path, const char *json) WARN_UNUSED;
/* Closes the connection, by which Ollama knows. */
void http_cancel(struct http *h);

/* Waits for the transfer, for one of fds (POLLIN), or for timeout_ms. */
void http_wait(struct http *h, const int *fds, size_t fds_n, int timeout_ms);
/* Moves what can be moved; the bytes go to fn. 1 with *answer when the request has ended, else 0. */
int http_perform(struct http *h, struct http_answer *answer) WARN_UNUSED;

#endif
