/*
 * See fetch.h. Redirects are followed here, one request each, so that it is seen where the token goes. Names are resolved in a thread of libcurl's.
 *
 * Invariant: `trusted` is set on a handle only where its URL has the endpoint's origin and the fetch has never left it.
 */
#include "preload/hub/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUFFER_BYTES = 256 * 1024 };

static size_t on_header(char *bytes, size_t size, size_t bytes_n, void *context)
{
    struct fetch *f = context;
    f->header_n += size * bytes_n;
    fetch_head_line(&f->head, bytes, size * bytes_n);
    return f->header_n > FETCH_HEADER_LIMIT_BYTES ? 0 : size * bytes_n;
}

static int is_redirect(long status)
{
    return status >= 300 && status <= 399 && status != 304;
}

static size_t on_body(char *bytes, size_t size, size_t bytes_n, void *context)
{
    struct fetch *f = context;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &f->head.status);
    if (f->head.status == 200 || f->head.status == 206)
        f->error = f->on_bytes(f->context, &f->head, bytes, size * bytes_n);
    else if (!is_redirect(f->head.status)) /* what is behind others is for people with a browser, and perhaps without end */
        f->is_cut = 1;
    else if ((f->header_n += size * bytes_n) > FETCH_HEADER_LIMIT_BYTES)
        return 0;
    return f->error || f->is_cut ? 0 : size * bytes_n;
}

static int is_https(const struct fetcher *r)
{
    return strncmp(r->settings->endpoint, "https:", 6) == 0;
}

static void set_options(struct fetch *f, const char *url)
{
    struct fetcher *r = f->fetcher;
    CURL *easy = f->easy;
    char range[32];
    f->has_left |= !fetch_is_same_origin(url, r->settings->endpoint);
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, f);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* each file a connection of its own */
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)FETCH_CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)((r->settings->stall_ms + 999) / 1000));
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "ollama-preload");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, f->has_left ? r->open : r->trusted);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, f->why);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, f);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, is_https(r) ? "https" : "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(is_https(r) ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    const char *authorities = getenv("SSL_CERT_FILE"); /* as the proxy has it */
    if (authorities && *authorities)
        curl_easy_setopt(easy, CURLOPT_CAINFO, authorities);
    if (f->first > 0) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)f->first);
        curl_easy_setopt(easy, CURLOPT_RANGE, range);
    }
}

static int send_request(struct fetch *f, const char *url)
{
    f->why[0] = '\0';
    f->header_n = 0;
    f->error = f->is_cut = 0;
    set_options(f, url);
    if (curl_multi_add_handle(f->fetcher->multi, f->easy) != CURLM_OK)
        return -ENOMEM;
    f->is_running = 1;
    return 0;
}

/* 1 where the answer leads elsewhere, and that has been asked now; else why is set where it leads nowhere. */
static int follow(struct fetch *f, const char **lost)
{
    char *url = NULL;
    if (!is_redirect(f->head.status))
        return 0;
    curl_easy_getinfo(f->easy, CURLINFO_REDIRECT_URL, &url);
    char *copy = url && strlen(url) < FETCH_URL_BYTES ? strdup(url) : NULL;
    *lost = "it leads to another place by a URL that is none";
    if (copy && f->redirects_n++ >= FETCH_REDIRECTS_MAX) {
        *lost = "it leads from one place to another without end";
    } else if (copy && send_request(f, copy) == 0) {
        free(copy);
        return 1;
    }
    free(copy);
    return 0;
}

static void end(struct fetch *f, CURLcode code)
{
    const char *lost = NULL;
    f->is_running = 0;
    curl_multi_remove_handle(f->fetcher->multi, f->easy);
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &f->head.status);
    fetch_head_end(&f->head, sys_realtime_ms() / 1000);
    f->head.is_elsewhere = f->has_left;
    if (code != CURLE_OK && !f->is_cut)
        lost = f->why[0] ? f->why : curl_easy_strerror(code);
    else if (follow(f, &lost))
        return;
    f->on_end(f->context, &f->head, f->error ? NULL : lost, f->error);
}

static int init_headers(struct fetcher *r)
{
    char line[SETTINGS_TOKEN_BYTES + 32];
    r->open = curl_slist_append(NULL, "Accept-Encoding: identity"); /* sizes and hashes are those of the file */
    r->trusted = curl_slist_append(NULL, "Accept-Encoding: identity");
    if (!r->open || !r->trusted)
        return -ENOMEM;
    if (!*r->settings->token)
        return 0;
    snprintf(line, sizeof line, "Authorization: Bearer %s", r->settings->token);
    return curl_slist_append(r->trusted, line) ? 0 : -ENOMEM;
}

int fetcher_init(struct fetcher *r, const struct settings *settings)
{
    *r = (struct fetcher){.settings = settings, .multi = curl_multi_init()};
    int error = r->multi ? init_headers(r) : -ENOMEM;
    if (error)
        fetcher_fini(r);
    return error;
}

void fetcher_fini(struct fetcher *r)
{
    if (r->multi)
        curl_multi_cleanup(r->multi);
    curl_slist_free_all(r->open);
    curl_slist_free_all(r->trusted);
    *r = (struct fetcher){0};
}

void fetcher_turn(struct fetcher *r, int fd, int timeout_ms)
{
    struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};
    int running_n = 0, left_n = 0;
    if (curl_multi_poll(r->multi, &extra, fd >= 0 ? 1 : 0, timeout_ms, NULL) != CURLM_OK)
        (void)!sys_poll(NULL, 0, timeout_ms); /* no memory: don't spin */
    curl_multi_perform(r->multi, &running_n);
    for (CURLMsg *message; (message = curl_multi_info_read(r->multi, &left_n));) {
        char *f = NULL;
        CURLcode code = message->data.result;
        if (message->msg == CURLMSG_DONE && curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &f) == CURLE_OK)
            end((struct fetch *)(void *)f, code);
    }
}

void fetch_init(struct fetch *f, struct fetcher *r, fetch_bytes_fn *on_bytes, fetch_end_fn *on_end, void *context)
{
    *f = (struct fetch){.fetcher = r, .on_bytes = on_bytes, .on_end = on_end, .context = context};
}

void fetch_fini(struct fetch *f)
{
    fetch_cancel(f);
    curl_easy_cleanup(f->easy);
    f->easy = NULL;
}

int fetch_start(struct fetch *f, const char *url, uint64_t first)
{
    fetch_cancel(f);
    f->easy = f->easy ? f->easy : curl_easy_init();
    if (!f->easy)
        return -ENOMEM;
    f->head = (struct fetch_head){.length = -1, .range_first = -1, .range_total = -1, .retry_after_s = -1, .retry_at_s = -1, .date_s = -1};
    f->has_left = f->redirects_n = 0;
    f->first = first;
    return send_request(f, url);
}

void fetch_cancel(struct fetch *f)
{
    if (f->is_running)
        curl_multi_remove_handle(f->fetcher->multi, f->easy);
    f->is_running = 0;
}
