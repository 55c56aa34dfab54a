/*
 * The only file of this room that knows libcurl. Plain HTTP to one address, without a proxy (Ollama is near), without
 * redirects, without decompression, and without a limit on the whole: how long a pull may be silent is for the
 * machine in pull.c to say. Names are resolved in a thread of libcurl's, which may hang; its handle is then left behind
 * rather than waited for.
 *
 * Invariant: no call here blocks longer than the timeout it was given.
 */
#include "preload/http.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

enum { FDS_MAX = 4 };

static size_t on_body(char *bytes, size_t size, size_t bytes_n, void *context)
{
    struct http *h = context;
    h->fn(h->context, bytes, size * bytes_n);
    return size * bytes_n;
}

/* A flood of 1xx answers or of header lines ends the request. */
static size_t on_header(char *bytes, size_t size, size_t bytes_n, void *context)
{
    struct http *h = context;
    (void)bytes;
    h->header_n += size * bytes_n;
    return h->header_n > HTTP_HEADER_LIMIT_BYTES ? 0 : size * bytes_n;
}

int http_init(struct http *h, const struct address *backend, http_bytes_fn *fn, void *context)
{
    char text[ADDRESS_TEXT_BYTES];
    struct sockaddr_storage literal;
    socklen_t literal_n;
    *h = (struct http){.fn = fn, .context = context};
    h->is_literal = address_to_sockaddr(backend, &literal, &literal_n) == 0;
    address_text(backend, text);
    snprintf(h->base, sizeof h->base, "http://%s", text);
    h->multi = curl_multi_init();
    h->easy = curl_easy_init();
    h->headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (h->multi && h->easy && h->headers)
        return 0;
    http_fini(h);
    return -ENOMEM;
}

/* 1 while libcurl's resolver thread may be at work, which every way of giving the handle back would wait for. */
static int is_resolving(const struct http *h)
{
    double resolved_s = 0;
    if (h->is_literal || !h->is_running)
        return 0;
    curl_easy_getinfo(h->easy, CURLINFO_NAMELOOKUP_TIME, &resolved_s);
    return !(resolved_s > 0);
}

void http_fini(struct http *h)
{
    http_cancel(h);
    curl_easy_cleanup(h->easy);
    if (h->multi)
        curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->headers);
    *h = (struct http){0};
}

/* Handles that wait for a name server are left behind: one for each GET /api/tags that was given up, and how long
 * that goes on is bounded. */
void http_cancel(struct http *h)
{
    if (is_resolving(h)) {
        h->multi = curl_multi_init();
        h->easy = curl_easy_init();
    } else if (h->is_running) {
        curl_multi_remove_handle(h->multi, h->easy);
    }
    h->is_running = 0;
    free(h->body);
    h->body = NULL;
}

static void set_options(struct http *h)
{
    curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(h->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (h->is_literal) /* libcurl ends an overdue name lookup by waiting for it */
        curl_easy_setopt(h->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
    curl_easy_setopt(h->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(h->easy, CURLOPT_USERAGENT, "ollama-preload");
    curl_easy_setopt(h->easy, CURLOPT_ERRORBUFFER, h->error);
    curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, h);
    curl_easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h->easy, CURLOPT_HEADERDATA, h);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS_STR, "http");
#else
    curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS, (long)CURLPROTO_HTTP);
#endif
}

int http_start(struct http *h, const char *path, const char *json)
{
    char url[sizeof h->base + 64];
    http_cancel(h);
    h->multi = h->multi ? h->multi : curl_multi_init();
    h->easy = h->easy ? h->easy : curl_easy_init();
    if (!h->multi || !h->easy)
        return -ENOMEM;
    if (json && !(h->body = strdup(json)))
        return -ENOMEM;
    snprintf(url, sizeof url, "%s%s", h->base, path);
    curl_easy_reset(h->easy);
    set_options(h);
    h->error[0] = '\0';
    h->header_n = 0;
    CURLcode code = curl_easy_setopt(h->easy, CURLOPT_URL, url);
    if (!code && json) {
        curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers);
        curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(json));
        code = curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, h->body);
    }
    if (code || curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
        return -ENOMEM;
    h->is_running = 1;
    return 0;
}

void http_wait(struct http *h, const int *fds, size_t fds_n, int timeout_ms)
{
    struct curl_waitfd extra[FDS_MAX];
    unsigned extra_n = 0;
    for (size_t i = 0; i < fds_n && extra_n < FDS_MAX; i++)
        if (fds[i] >= 0)
            extra[extra_n++] = (struct curl_waitfd){.fd = fds[i], .events = CURL_WAIT_POLLIN};
    if (!h->multi || curl_multi_poll(h->multi, extra, extra_n, timeout_ms, NULL) != CURLM_OK)
        (void)!sys_poll(NULL, 0, timeout_ms); /* no memory: don't spin */
}

int http_perform(struct http *h, struct http_answer *answer)
{
    int running_n = 0, left_n = 0;
    if (!h->is_running)
        return 0;
    curl_multi_perform(h->multi, &running_n);
    for (CURLMsg *message; (message = curl_multi_info_read(h->multi, &left_n));) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result;
        *answer = (struct http_answer){.is_lost = code != CURLE_OK};
        answer->text = h->error[0] ? h->error : curl_easy_strerror(code);
        curl_easy_getinfo(h->easy, CURLINFO_RESPONSE_CODE, &answer->status);
        http_cancel(h);
        return 1;
    }
    return 0;
}
