/*
 * See redis.h. One table of nothing but deadlines: each state has one, by the timer; PAUSE ends with a try, all others with a failure.
 * Whoever is told anything may send commands, and refuse the connection: so nothing is used after a call but what close_down() leaves valid.
 */
#include "proxy/store/redis.h"

#include "common/buf.h"
#include "proxy/balance/resolve.h"
#include "proxy/store/reader.h"
#include "proxy/store/redis_why.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

enum {
    PENDING_MOST = 4096,
    OUT_BYTES = 8 << 20,
    IN_BYTES = 16 << 20,       /* of one reply */
    READ_BYTES = 16 * 1024,
    READS_A_TURN = 16,
    PAUSE_LEAST_MS = 500, PAUSE_MOST_MS = 10000,
};

struct pending {
    redis_fn *fn;
    void *context;
    int64_t until_ms;
};

struct redis {
    struct redis_site site;
    const struct redis_ops *ops;
    enum redis_state state;
    int fd;
    redisReader *reader;        /* NULL while there is no connection */
    struct reader_bounds bounds;
    struct buf out, words;      /* words: of the command that is being made */
    size_t words_n;
    int is_short;               /* … for which there is no memory */
    struct pending *pending;    /* a ring of PENDING_MOST */
    size_t first, pending_n;
    struct resolve resolve;
    unsigned tries_n;           /* each goes to the next of a name's addresses */
    struct timer timer;         /* of the state; of UP: of the oldest command */
    struct deferred flush;
    int64_t pause_ms, up_ms;    /* the last pause; since when it is up */
};

enum redis_state redis_state(const struct redis *r)
{
    return r->state;
}

size_t redis_under_way_n(const struct redis *r)
{
    return r->pending_n;
}

/* ---- its end, and the next try ---- */

/* The oldest command. reply NULL: there will be none. */
static void answer(struct redis *r, const redisReply *reply)
{
    struct pending one = r->pending[r->first];
    r->first = (r->first + 1) % PENDING_MOST;
    r->pending_n--;
    if (one.fn)
        one.fn(one.context, reply);
}

static void answer_all(struct redis *r)
{
    while (r->pending_n > 0)
        answer(r, NULL);
}

static void close_socket(struct redis *r)
{
    resolve_fini(&r->resolve);
    if (r->fd >= 0) {
        loop_remove(r->site.loop, r->fd);
        sys_close(r->fd);
    }
    r->fd = -1;
    if (r->reader)
        redisReaderFree(r->reader);
    r->reader = NULL;
    buf_release(&r->out);
}

/* Twice as long as the last, but for one that was up for longer than that; by chance up to a quarter more, as others were cut off in this
 * moment, too. */
static int64_t next_pause_ms(struct redis *r)
{
    uint8_t chance;
    int64_t now_ms = loop_now_ms(r->site.loop);
    int was_long_up = r->state == REDIS_UP && now_ms - r->up_ms > r->pause_ms;
    r->pause_ms = was_long_up || r->pause_ms == 0 ? PAUSE_LEAST_MS : r->pause_ms * 2;
    if (r->pause_ms > PAUSE_MOST_MS)
        r->pause_ms = PAUSE_MOST_MS;
    sys_random(&chance, sizeof chance);
    return r->pause_ms + r->pause_ms * chance / 1024;
}

static void close_down(struct redis *r, const char *why)
{
    char words[REDIS_WHY_BYTES]; /* why may be the reader's */
    snprintf(words, sizeof words, "%s", why);
    int64_t pause_ms = next_pause_ms(r);
    r->state = REDIS_PAUSE;
    close_socket(r);
    loop_arm(r->site.loop, &r->timer, loop_now_ms(r->site.loop) + pause_ms);
    answer_all(r);
    r->ops->down(r->ops->context, words);
}

void redis_refuse(struct redis *r, const char *why)
{
    if (r->state != REDIS_PAUSE)
        close_down(r, why);
}

static void fail(struct redis *r, int error)
{
    close_down(r, strerror(-error));
}

/* ---- what goes out ---- */

static void flush(void *context)
{
    struct redis *r = context;
    if (r->state != REDIS_GREETING && r->state != REDIS_UP)
        return;
    while (buf_size(&r->out) > 0) {
        ssize_t n = sys_send(r->fd, buf_data(&r->out), buf_size(&r->out), MSG_NOSIGNAL);
        if (n == -EAGAIN)
            break;
        if (n < 0) {
            fail(r, (int)n);
            return;
        }
        buf_consume(&r->out, (size_t)n);
    }
    loop_set_events(r->site.loop, r->fd, buf_size(&r->out) > 0 ? POLLIN | POLLOUT : POLLIN);
}

void redis_begin(struct redis *r)
{
    buf_truncate(&r->words, 0);
    r->words_n = 0;
    r->is_short = 0;
}

void redis_add(struct redis *r, const char *bytes, size_t bytes_n)
{
    r->words_n++;
    if (buf_printf(&r->words, "$%zu\r\n", bytes_n) || buf_append(&r->words, bytes, bytes_n) || buf_text(&r->words, "\r\n"))
        r->is_short = 1;
}

void redis_add_text(struct redis *r, const char *text)
{
    redis_add(r, text, strlen(text));
}

void redis_add_number(struct redis *r, int64_t number)
{
    char text[24];
    redis_add(r, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)number));
}

/* https://redis.io/docs/latest/develop/reference/protocol-spec/: an array of bulk strings. */
static int put(struct redis *r, redis_fn *fn, void *context)
{
    size_t before_n = buf_size(&r->out);
    if (r->is_short)
        return -ENOMEM;
    if (r->pending_n == PENDING_MOST)
        return -ENOBUFS;
    int error = buf_printf(&r->out, "*%zu\r\n", r->words_n);
    error = error ? error : buf_append(&r->out, buf_data(&r->words), buf_size(&r->words));
    if (error) {
        buf_truncate(&r->out, before_n);
        return error == -EFBIG ? -ENOBUFS : error;
    }
    int64_t until_ms = loop_now_ms(r->site.loop) + r->site.timeout_ms;
    r->pending[(r->first + r->pending_n++) % PENDING_MOST] = (struct pending){fn, context, until_ms};
    if (!timer_is_armed(&r->timer))
        loop_arm(r->site.loop, &r->timer, until_ms);
    loop_defer(r->site.loop, &r->flush);
    return 0;
}

int redis_send(struct redis *r, redis_fn *fn, void *context)
{
    return r->state == REDIS_UP ? put(r, fn, context) : -ENOTCONN;
}

/* ---- to be let in ---- */

static void on_greeting(void *context, const redisReply *reply)
{
    struct redis *r = context;
    char why[REDIS_WHY_BYTES];
    if (!reply || reply->type != REDIS_REPLY_ERROR)
        return;
    redis_why(reply->str, why);
    redis_refuse(r, why);
}

/* The last of its greetings: whoever answers this, and has had no complaint before, is a Redis that lets us in. */
static void on_pong(void *context, const redisReply *reply)
{
    struct redis *r = context;
    on_greeting(context, reply);
    if (!reply || r->state != REDIS_GREETING)
        return;
    if (reply->type != REDIS_REPLY_STATUS || strcmp(reply->str, "PONG") != 0) {
        close_down(r, "what answers there is no Redis");
        return;
    }
    r->state = REDIS_UP;
    r->up_ms = loop_now_ms(r->site.loop);
    r->ops->up(r->ops->context);
}

static int greet_as_user(struct redis *r)
{
    const struct redis_url *at = r->site.at;
    const char *password = *at->password ? at->password : r->site.password;
    if (!*password)
        return 0;
    redis_begin(r);
    redis_add_text(r, "AUTH");
    if (*at->user)
        redis_add_text(r, at->user);
    redis_add_text(r, password);
    return put(r, on_greeting, r);
}

/* It may be forbidden, and is missed by nobody then. But a server that lets nobody in says so in the place of the first reply. */
static void on_named(void *context, const redisReply *reply)
{
    struct redis *r = context;
    char why[REDIS_WHY_BYTES];
    if (!reply || reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, "DENIED", 6) != 0)
        return;
    redis_why(reply->str, why);
    close_down(r, why);
}

static void greet(struct redis *r)
{
    static const char *const name[] = {"CLIENT", "SETNAME"};
    r->state = REDIS_GREETING;
    loop_disarm(r->site.loop, &r->timer);
    int error = greet_as_user(r);
    if (!error && r->site.at->database > 0) {
        redis_begin(r);
        redis_add_text(r, "SELECT");
        redis_add_number(r, r->site.at->database);
        error = put(r, on_greeting, r);
    }
    redis_begin(r);
    for (size_t i = 0; i < 2; i++)
        redis_add_text(r, name[i]);
    redis_add_text(r, r->site.name);
    error = error ? error : put(r, on_named, r);
    redis_begin(r);
    redis_add_text(r, "PING");
    error = error ? error : put(r, on_pong, r);
    if (error)
        fail(r, error);
}

/* ---- what comes in ---- */

static int is_message(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 && reply->element[0]->type == REDIS_REPLY_STRING &&
           strcmp(reply->element[0]->str, "message") == 0 && reply->element[2]->type == REDIS_REPLY_STRING;
}

static void take(struct redis *r, const redisReply *reply)
{
    if (r->ops->message && is_message(reply)) {
        r->ops->message(r->ops->context, reply->element[2]->str, reply->element[2]->len);
        return;
    }
    if (r->pending_n == 0) { /* as a server says why it closes the connection */
        char why[REDIS_WHY_BYTES];
        redis_why(reply->type == REDIS_REPLY_ERROR ? reply->str : "it has said what nobody asked for", why);
        close_down(r, why);
        return;
    }
    answer(r, reply);
}

/* Whoever is told may refuse the connection: then there is no reader any more. */
static void take_all(struct redis *r)
{
    void *reply = NULL;
    while (r->reader && redisReaderGetReply(r->reader, &reply) == REDIS_OK && reply) {
        take(r, reply);
        freeReplyObject(reply);
    }
    if (r->reader && r->reader->err)
        close_down(r, r->reader->err == REDIS_ERR_PROTOCOL ? "what answers there is no Redis: it does not speak its protocol" : r->reader->errstr);
    else if (r->reader && r->reader->len > IN_BYTES)
        close_down(r, "a reply of it is longer than 16 MiB");
}

static void read_some(struct redis *r)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < READS_A_TURN && r->reader; i++) {
        ssize_t n = sys_recv(r->fd, bytes, sizeof bytes, 0);
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            close_down(r, n == 0 ? "it has closed the connection" : strerror((int)-n));
            return;
        }
        if (redisReaderFeed(r->reader, bytes, (size_t)n) != REDIS_OK) {
            fail(r, -ENOMEM);
            return;
        }
        take_all(r);
        if (n < (ssize_t)sizeof bytes)
            return;
    }
}

static void on_event(void *context, short revents)
{
    struct redis *r = context;
    if (r->state == REDIS_CONNECTING) {
        int error = sys_socket_error(r->fd);
        if (error < 0)
            fail(r, error);
        else
            greet(r);
        return;
    }
    if (revents & ~POLLOUT) /* first, as a server that ends the connection may have said why */
        read_some(r);
    if (r->reader && (revents & POLLOUT))
        flush(r);
}

/* ---- a try ---- */

static int connect_socket(struct redis *r, const struct sockaddr_storage *to, socklen_t to_n)
{
    r->reader = reader_new(&r->bounds);
    r->fd = sys_socket(to->ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (!r->reader || r->fd < 0)
        return r->reader ? r->fd : -ENOMEM;
    if (to->ss_family != AF_UNIX)
        (void)!sys_setsockopt_int(r->fd, IPPROTO_TCP, TCP_NODELAY, 1); /* slower without */
    int error = sys_connect(r->fd, (const struct sockaddr *)to, to_n);
    return error == -EINPROGRESS || error == 0 ? loop_add(r->site.loop, r->fd, POLLOUT, on_event, r) : error;
}

static void connect_to(struct redis *r, const struct sockaddr_storage *to, socklen_t to_n)
{
    r->state = REDIS_CONNECTING;
    int error = connect_socket(r, to, to_n);
    if (error)
        fail(r, error);
}

static void connect_to_path(struct redis *r)
{
    struct sockaddr_storage to;
    struct sockaddr_un *local = (struct sockaddr_un *)&to;
    *local = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(local->sun_path, r->site.at->path, sizeof local->sun_path);
    connect_to(r, &to, sizeof *local);
}

static void on_looked_up(void *context, const struct resolve_found *found)
{
    struct redis *r = context;
    struct address at = {.port = r->site.at->address.port};
    struct sockaddr_storage to;
    socklen_t to_n;
    char why[RESOLVE_WHY_BYTES + ADDRESS_HOST_BYTES + 8];
    if (found->ips_n > 0) {
        ip_text(&found->ips[r->tries_n++ % found->ips_n], at.host);
        if (address_to_sockaddr(&at, &to, &to_n) == 0) {
            connect_to(r, &to, to_n);
            return;
        }
    }
    snprintf(why, sizeof why, "%s: %s", r->site.at->address.host, found->why);
    close_down(r, why);
}

static void try(struct redis *r)
{
    struct sockaddr_storage to;
    socklen_t to_n;
    loop_arm(r->site.loop, &r->timer, loop_now_ms(r->site.loop) + r->site.timeout_ms);
    if (*r->site.at->path) {
        connect_to_path(r);
        return;
    }
    if (address_to_sockaddr(&r->site.at->address, &to, &to_n) == 0) {
        connect_to(r, &to, to_n);
        return;
    }
    r->state = REDIS_LOOKING_UP;
    int error = resolve_start(&r->resolve, r->site.at->address.host);
    if (error)
        fail(r, error);
}

static void on_timer(void *context, int64_t now_ms)
{
    struct redis *r = context;
    if (r->state == REDIS_PAUSE)
        try(r);
    else if (r->state == REDIS_LOOKING_UP)
        close_down(r, "its host's name is not found in time ([redis] timeout)");
    else if (r->state == REDIS_CONNECTING || (r->pending_n > 0 && r->pending[r->first].until_ms <= now_ms))
        close_down(r, "it does not answer in time ([redis] timeout)");
    else if (r->pending_n > 0)
        loop_arm(r->site.loop, &r->timer, r->pending[r->first].until_ms);
}

int redis_new(struct redis **out, const struct redis_site *site, const struct redis_ops *ops)
{
    struct redis *r = calloc(1, sizeof *r);
    struct pending *pending = calloc(PENDING_MOST, sizeof *pending);
    *out = r;
    if (!r || !pending) {
        free(pending);
        free(r);
        *out = NULL;
        return -ENOMEM;
    }
    r->site = *site;
    r->ops = ops;
    r->pending = pending;
    r->fd = -1;
    buf_init(&r->out, OUT_BYTES);
    buf_init(&r->words, OUT_BYTES);
    timer_init(&r->timer, on_timer, r);
    resolve_init(&r->resolve, site->loop, on_looked_up, r);
    r->flush = (struct deferred){.fn = flush, .context = r};
    loop_arm(site->loop, &r->timer, loop_now_ms(site->loop));
    return 0;
}

void redis_free(struct redis **redis)
{
    struct redis *r = *redis;
    *redis = NULL;
    if (!r)
        return;
    if ((r->state == REDIS_UP || r->state == REDIS_GREETING) && buf_size(&r->out) > 0)
        (void)!sys_send(r->fd, buf_data(&r->out), buf_size(&r->out), MSG_NOSIGNAL);
    loop_disarm(r->site.loop, &r->timer);
    r->state = REDIS_PAUSE;
    close_socket(r);
    answer_all(r);
    loop_forget(r->site.loop, &r->flush); /* there may be no turn any more */
    buf_fini(&r->out);
    buf_fini(&r->words);
    free(r->pending);
    free(r);
}
