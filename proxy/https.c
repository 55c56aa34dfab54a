/*
 * See https.h. libcurl's callbacks only note and append: whatever may end a call, or begin another, is done when libcurl has
 * returned. libcurl-multi(3), "multi_socket"; CURLMOPT_SOCKETFUNCTION(3), CURLMOPT_TIMERFUNCTION(3)
 */
#include "proxy/https.h"

#include "proxy/https_head.h"

#include "common/buf.h"
#include "proxy/message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEPT_CONNECTIONS = 16, SILENT_S = 60, ASK_S = 15, HEAD_BYTES = 128 * 1024 };

struct https {
    struct loop *loop;
    const struct https_library *curl;
    CURLM *multi;
    struct timer timer;
    struct deferred work;
    struct https_call *first, **last; /* those that have something to tell */
    struct https_call *orphans;       /* whose names are still being looked up */
    struct https_call *told;          /* who is being told; NULL: none, or it was cancelled meanwhile */
    struct buf bytes;                 /* … its bytes */
    size_t calls_n, most_n;           /* under way, and at once since there were none */
};

struct https_call {
    struct https *https;
    struct https_call *next;
    int is_ready;           /* in the list */
    CURL *easy;
    struct curl_slist *fields;
    const struct https_ops *ops;
    void *context;
    struct buf bytes;       /* that came */
    size_t body_n;
    int64_t connect_ms;
    int is_paused, is_held; /* by the caller; libcurl was told so */
    int is_interim, is_body; /* the head that comes is one of 1xx; it is over */
    int is_over;            /* there is no more to come */
    int is_done;            /* … and libcurl says so */
    int is_looked_up;       /* its host's name is being looked up, or was */
    int is_orphan;          /* nobody wants it any more */
    struct timer limit;     /* of the connection */
    CURLcode result;
    char why[CURL_ERROR_SIZE];
};

static void take_off(struct https_call *call)
{
    struct https *h = call->https;
    struct https_call **at = &h->first;
    if (!call->is_ready)
        return;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    if (h->last == &call->next)
        h->last = at;
    call->is_ready = 0;
}

/* It is told at the end of this turn of the loop. */
static void put_on(struct https_call *call)
{
    struct https *h = call->https;
    if (call->is_ready || call->is_paused)
        return;
    call->is_ready = 1;
    call->next = NULL;
    *h->last = call;
    h->last = &call->next;
    loop_defer(h->loop, &h->work);
}

static void free_call(struct https_call *call)
{
    const struct https_library *curl = call->https->curl;
    if (call->easy)
        curl->easy_cleanup(call->easy);
    curl->slist_free_all(call->fields);
    buf_fini(&call->bytes);
    free(call);
}

static void forget(struct https_call *call)
{
    struct https *h = call->https;
    struct https_call **at = &h->orphans;
    while (*at && *at != call)
        at = &(*at)->next;
    if (*at)
        *at = call->next;
    loop_disarm(h->loop, &call->limit);
    (void)h->curl->multi_remove_handle(h->multi, call->easy);
    free_call(call);
    if (--h->calls_n == 0 && h->most_n > KEPT_CONNECTIONS) { /* libc would keep what so many needed */
        h->most_n = 0;
        sys_trim_memory();
    }
}

/* libcurl's word for a call that is over. */
static void collect(struct https *h)
{
    int left_n;
    for (CURLMsg *m; (m = h->curl->multi_info_read(h->multi, &left_n));) {
        struct https_call *call = NULL;
        if (m->msg != CURLMSG_DONE || h->curl->easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&call) != CURLE_OK || !call)
            continue;
        call->is_done = 1;
        if (call->is_orphan) {
            forget(call);
            continue;
        }
        call->result = call->is_over ? call->result : m->data.result;
        call->is_over = 1;
        put_on(call);
    }
}

/* Nothing was sent: no name, no connection, no handshake, no trust. */
static enum https_end end_of(const struct https_call *call)
{
    long request_bytes = 0;
    if (call->result == CURLE_OK)
        return HTTPS_DONE;
    (void)call->https->curl->easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    return request_bytes == 0 ? HTTPS_REFUSED : HTTPS_LOST;
}

static void tell(struct https *h, struct https_call *call)
{
    h->told = call;
    if (buf_size(&call->bytes) > 0) {
        struct buf empty = h->bytes;
        h->bytes = call->bytes;
        call->bytes = empty;
        call->ops->bytes(call->context, buf_data(&h->bytes), buf_size(&h->bytes));
        buf_consume(&h->bytes, buf_size(&h->bytes));
    }
    if (h->told != call)
        return;
    h->told = NULL;
    if (call->is_over && !call->is_paused) { /* also where the limit was over first */
        const char *why = *call->why ? call->why : h->curl->easy_strerror(call->result);
        call->ops->end(call->context, end_of(call), why);
    } else if (call->is_held && !call->is_paused) {
        call->is_held = 0;
        (void)h->curl->easy_pause(call->easy, CURLPAUSE_CONT); /* what was held comes from within */
    }
}

static void work(void *context)
{
    struct https *h = context;
    collect(h);
    while (h->first) {
        struct https_call *call = h->first;
        take_off(call);
        tell(h, call);
    }
}

/* A descriptor of libcurl's that the loop watches. */
struct watched {
    struct https *https;
    int fd;
};

static void on_fd(void *context, short revents)
{
    struct watched w = *(struct watched *)context; /* it may be gone before that returns */
    int running_n;
    int events = (revents & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0) | (revents & POLLOUT ? CURL_CSELECT_OUT : 0) |
                 (revents & POLLERR ? CURL_CSELECT_ERR : 0);
    (void)w.https->curl->multi_socket_action(w.https->multi, w.fd, events, &running_n);
    collect(w.https);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct https *h = context;
    int running_n;
    (void)now_ms;
    (void)h->curl->multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running_n);
    collect(h);
}

static int watch(struct https *h, int fd, short events)
{
    struct watched *w = malloc(sizeof *w);
    if (!w)
        return -ENOMEM;
    *w = (struct watched){h, fd};
    int error = loop_add(h->loop, fd, events, on_fd, w);
    if (!error)
        error = h->curl->multi_assign(h->multi, fd, w) == CURLM_OK ? 0 : -EINVAL;
    if (error) {
        loop_remove(h->loop, fd);
        free(w);
    }
    return error;
}

/* CURLMOPT_SOCKETFUNCTION(3). A descriptor that can't be watched: its call ends with its limit on time. */
static int set_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *watched)
{
    struct https *h = context;
    short events = (short)((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        loop_remove(h->loop, fd);
        free(watched);
        (void)h->curl->multi_assign(h->multi, fd, NULL);
    } else if (watched) {
        loop_set_events(h->loop, fd, events);
    } else {
        (void)!watch(h, fd, events);
    }
    return 0;
}

/* CURLMOPT_TIMERFUNCTION(3) */
static int set_timer(CURLM *multi, long ms, void *context)
{
    struct https *h = context;
    (void)multi;
    if (ms < 0)
        loop_disarm(h->loop, &h->timer);
    else
        loop_arm(h->loop, &h->timer, loop_now_ms(h->loop) + ms);
    return 0;
}

/* CURLOPT_HEADERFUNCTION(3): whole lines. libcurl takes the chunks apart, so that they are announced is not told; nor are
 * trailers. */
static size_t take_line(char *line, size_t one, size_t n, void *context)
{
    struct https_call *call = context;
    (void)one;
    if (n > 9 && memcmp(line, "HTTP/", 5) == 0)
        call->is_interim = line[9] == '1';
    if (call->is_body || (n > 18 && text_is(line, 18, "transfer-encoding:")))
        return n;
    if (n <= 2 && (*line == '\r' || *line == '\n'))
        call->is_body = !call->is_interim;
    if (buf_size(&call->bytes) + n > HTTPS_HELD_BYTES + HEAD_BYTES || buf_append(&call->bytes, line, n) < 0)
        return 0;
    put_on(call);
    return n;
}

/* CURLOPT_WRITEFUNCTION(3) */
static size_t take_bytes(char *bytes, size_t one, size_t n, void *context)
{
    struct https_call *call = context;
    (void)one;
    if (call->is_paused || buf_size(&call->bytes) >= HTTPS_HELD_BYTES) {
        call->is_held = 1;
        put_on(call);
        return CURL_WRITEFUNC_PAUSE;
    }
    if (buf_append(&call->bytes, bytes, n) < 0)
        return 0;
    put_on(call);
    return n;
}

/* CURLOPT_RESOLVER_START_FUNCTION(3) */
static int note_lookup(void *resolver, void *reserved, void *context)
{
    struct https_call *call = context;
    (void)resolver, (void)reserved;
    call->is_looked_up = 1;
    return 0;
}

/* CURLOPT_OPENSOCKETFUNCTION(3). As libcurl opens them by itself. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct https_call *call = context;
    (void)purpose;
    int fd = call->is_orphan ? -1 : sys_socket(address->family, address->socktype, address->protocol);
    return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static void on_limit(void *context, int64_t now_ms)
{
    struct https_call *call = context;
    curl_off_t at_us = 0;
    (void)now_ms;
    (void)call->https->curl->easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &at_us);
    if (at_us > 0 || call->is_over)
        return;
    call->is_over = 1;
    call->result = CURLE_OPERATION_TIMEDOUT;
    snprintf(call->why, sizeof call->why, "no connection within %d s", (int)(call->connect_ms / 1000));
    put_on(call);
}

int https_new(struct https **out, struct loop *loop, char *why, size_t why_n)
{
    const struct https_library *curl = https_library(why, why_n);
    if (!curl)
        return -ENOENT;
    struct https *h = calloc(1, sizeof *h);
    CURLM *multi = h ? curl->multi_init() : NULL;
    if (!multi) {
        free(h);
        snprintf(why, why_n, "out of memory");
        return -ENOMEM;
    }
    *h = (struct https){.loop = loop, .curl = curl, .multi = multi};
    h->last = &h->first;
    h->work = (struct deferred){.fn = work, .context = h};
    buf_init(&h->bytes, 0);
    timer_init(&h->timer, on_timer, h);
    (void)curl->multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, set_socket);
    (void)curl->multi_setopt(multi, CURLMOPT_SOCKETDATA, h);
    (void)curl->multi_setopt(multi, CURLMOPT_TIMERFUNCTION, set_timer);
    (void)curl->multi_setopt(multi, CURLMOPT_TIMERDATA, h);
    (void)curl->multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    *out = h;
    return 0;
}

/* At the end of the program: what could only be freed by waiting for a resolver. */
static struct https *left;

void https_free(struct https **out)
{
    struct https *h = *out;
    if (!h)
        return;
    if (h->orphans) {
        left = h;
        *out = NULL;
        return;
    }
    (void)h->curl->multi_cleanup(h->multi);
    loop_disarm(h->loop, &h->timer);
    buf_fini(&h->bytes);
    free(h);
    *out = NULL;
}

#define SET(option, value) is_set = is_set && curl->easy_setopt(call->easy, option, value) == CURLE_OK

/* 1 where libcurl takes all of it. What a system's older libcurl lacks is none of these. */
static int set_options(struct https_call *call, const struct https_request *r, const char *url)
{
    const struct https_library *curl = call->https->curl;
    const char *authorities = getenv("SSL_CERT_FILE");
    int is_set = 1;
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PRIVATE, (void *)call);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTPHEADER, call->fields);
    SET(CURLOPT_HEADERFUNCTION, take_line);
    SET(CURLOPT_HEADERDATA, (void *)call);
    SET(CURLOPT_WRITEFUNCTION, take_bytes);
    SET(CURLOPT_WRITEDATA, (void *)call);
    SET(CURLOPT_ERRORBUFFER, call->why);
    SET(CURLOPT_RESOLVER_START_FUNCTION, note_lookup);
    SET(CURLOPT_RESOLVER_START_DATA, (void *)call);
    SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
    SET(CURLOPT_OPENSOCKETDATA, (void *)call);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_TCP_KEEPIDLE, (long)SILENT_S);
    SET(CURLOPT_TCP_KEEPINTVL, (long)ASK_S);
    SET(CURLOPT_FRESH_CONNECT, (long)(r->is_fresh && r->body)); /* what only reads libcurl asks for again by itself */
    if (authorities && *authorities)
        SET(CURLOPT_CAINFO, authorities);
    if (strncmp(r->origin, "https:", 6) != 0)
        SET(CURLOPT_PROXY, ""); /* as with one that is reached by its address */
    if (r->body) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_n);
        SET(CURLOPT_POSTFIELDS, r->body);
    }
    return is_set;
}

int https_start(struct https_call **out, struct https *h, const struct https_request *request, const struct https_ops *ops, void *context)
{
    struct buf url;
    struct https_call *call = h->calls_n < HTTPS_CALLS_MAX ? calloc(1, sizeof *call) : NULL;
    if (!call)
        return h->calls_n < HTTPS_CALLS_MAX ? -ENOMEM : -ENOBUFS;
    *call = (struct https_call){.https = h, .ops = ops, .context = context, .body_n = request->body_n, .connect_ms = request->connect_ms};
    timer_init(&call->limit, on_limit, call);
    buf_init(&call->bytes, 0); /* what comes has its limit */
    buf_init(&url, 0);
    call->easy = h->curl->easy_init();
    int error = call->easy ? https_head_read(h->curl, request->head, request->head_n, request->origin, &call->fields, &url) : -ENOMEM;
    if (!error && !set_options(call, request, buf_data(&url)))
        error = -ENOMEM;
    buf_fini(&url);
    if (!error && h->curl->multi_add_handle(h->multi, call->easy) != CURLM_OK)
        error = -ENOMEM;
    if (error) {
        free_call(call);
        return error;
    }
    h->calls_n++;
    h->most_n = h->calls_n > h->most_n ? h->calls_n : h->most_n;
    loop_arm(h->loop, &call->limit, loop_now_ms(h->loop) + request->connect_ms);
    *out = call;
    return 0;
}

/* To end such a call libcurl would wait for its resolver, and we with it: it is left to itself, and gets no socket (open_socket). */
static int is_being_looked_up(const struct https_call *call)
{
    curl_off_t at_us = 0;
    (void)call->https->curl->easy_getinfo(call->easy, CURLINFO_NAMELOOKUP_TIME_T, &at_us);
    return call->is_looked_up && !call->is_done && at_us == 0;
}

void https_cancel(struct https_call **out)
{
    struct https_call *call = *out;
    if (!call)
        return;
    struct https *h = call->https;
    *out = NULL;
    if (h->told == call)
        h->told = NULL;
    take_off(call);
    if (is_being_looked_up(call)) {
        loop_disarm(h->loop, &call->limit);
        call->is_orphan = 1;
        call->next = h->orphans;
        h->orphans = call;
    } else {
        forget(call);
    }
}

void https_pause(struct https_call *call)
{
    call->is_paused = 1;
    take_off(call);
}

void https_resume(struct https_call *call)
{
    call->is_paused = 0;
    put_on(call);
}

int https_is_sent(const struct https_call *call)
{
    curl_off_t sent_bytes = 0;
    (void)call->https->curl->easy_getinfo(call->easy, CURLINFO_SIZE_UPLOAD_T, &sent_bytes);
    return (size_t)sent_bytes >= call->body_n;
}
