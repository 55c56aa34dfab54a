/*
 * The only file of this room that knows libcurl. HTTP to one server, without a proxy (Ollama is near), without
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
#include <sys/select.h>

enum { FDS_MAX = 256, RESOLVING_TURN_MS = 100 };

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

/* One more; 0 or -ENOMEM. */
static int add_header(struct http *h, const char *name, const char *value)
{
    char *line = NULL;
    if (asprintf(&line, "%s%s", name, value) < 0)
        return -ENOMEM;
    struct curl_slist *headers = curl_slist_append(h->headers, line);
    free(line);
    if (!headers)
        return -ENOMEM;
    h->headers = headers;
    return 0;
}

int http_init(struct http *h, const char *url, const char *key, http_bytes_fn *fn, void *context)
{
    struct sockaddr_storage literal;
    socklen_t literal_n;
    struct url parts;
    char why[PARSE_WHY_BYTES];
    *h = (struct http){.fn = fn, .context = context};
    h->is_literal = parse_url(url, &parts, why) == 0 && address_to_sockaddr(&parts.address, &literal, &literal_n) == 0;
    h->multi = curl_multi_init();
    h->easy = curl_easy_init();
    h->base = strdup(url);
    int error = h->multi && h->easy && h->base ? 0 : -ENOMEM;
    for (size_t n = error ? 0 : strlen(url); n > 0 && url[n - 1] == '/'; n--)
        h->base[n - 1] = '\0';
    error = error ? error : add_header(h, "Content-Type: application/json", ""); /* the first: what has no body begins behind it */
    if (!error && *key)
        error = add_header(h, "Authorization: Bearer ", key);
    if (error)
        http_fini(h);
    return error;
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
    free(h->base);
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
    curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    const char *authorities = getenv("SSL_CERT_FILE"); /* as the proxy has it */
    if (authorities && *authorities)
        curl_easy_setopt(h->easy, CURLOPT_CAINFO, authorities);
}

int http_start(struct http *h, const char *path, const char *json)
{
    char *url = NULL;
    http_cancel(h);
    h->multi = h->multi ? h->multi : curl_multi_init();
    h->easy = h->easy ? h->easy : curl_easy_init();
    if (!h->multi || !h->easy)
        return -ENOMEM;
    if (json && !(h->body = strdup(json)))
        return -ENOMEM;
    if (asprintf(&url, "%s%s", h->base, path) < 0)
        return -ENOMEM;
    curl_easy_reset(h->easy);
    set_options(h);
    h->error[0] = '\0';
    h->header_n = 0;
    CURLcode code = curl_easy_setopt(h->easy, CURLOPT_URL, url);
    free(url); /* it has been copied */
    curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, json ? h->headers : h->headers->next);
    if (!code && json) {
        curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(json));
        code = curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, h->body);
    }
    if (code || curl_multi_add_handle(h->multi, h->easy) != CURLM_OK)
        return -ENOMEM;
    h->is_running = 1;
    return 0;
}

/* What one of them waits for, among what is waited for beside the first. Its own timers may be sooner than the timeout. */
static void add_waiting(struct http *h, struct curl_waitfd *extra, unsigned *extra_n, int *timeout_ms)
{
    fd_set in, out, bad;
    int last_fd = -1;
    long timer_ms = -1;
    if (!h->is_running)
        return;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&bad);
    if (curl_multi_fdset(h->multi, &in, &out, &bad, &last_fd) != CURLM_OK || last_fd < 0)
        timer_ms = RESOLVING_TURN_MS;
    for (int fd = 0; fd <= last_fd && *extra_n < FDS_MAX; fd++) {
        short events = (short)((FD_ISSET(fd, &in) ? CURL_WAIT_POLLIN : 0) | (FD_ISSET(fd, &out) ? CURL_WAIT_POLLOUT : 0));
        if (events)
            extra[(*extra_n)++] = (struct curl_waitfd){.fd = fd, .events = events};
    }
    if (timer_ms < 0)
        (void)curl_multi_timeout(h->multi, &timer_ms);
    if (timer_ms >= 0 && timer_ms < *timeout_ms)
        *timeout_ms = (int)timer_ms;
}

void http_wait(struct http *const *all, size_t all_n, const int *fds, size_t fds_n, int timeout_ms)
{
    struct curl_waitfd extra[FDS_MAX];
    unsigned extra_n = 0;
    for (size_t i = 0; i < fds_n && extra_n < HTTP_FDS_MAX; i++)
        if (fds[i] >= 0)
            extra[extra_n++] = (struct curl_waitfd){.fd = fds[i], .events = CURL_WAIT_POLLIN};
    for (size_t i = 1; i < all_n; i++)
        add_waiting(all[i], extra, &extra_n, &timeout_ms);
    if (!all[0]->multi || curl_multi_poll(all[0]->multi, extra, extra_n, timeout_ms, NULL) != CURLM_OK)
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
