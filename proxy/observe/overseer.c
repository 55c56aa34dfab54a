/*
 * See overseer.h. One question at a time: one that is late keeps its socket until the supervisor answers, or closes it, and no other is asked meanwhile, so
 * that whatever keeps it busy the channel does not fill.
 */
#include "proxy/observe/overseer.h"

#include "common/contract.h"
#include "common/json_read.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { READ_BYTES = 16 * 1024 };

int overseer_hand_up(const struct overseer *o, const char *line)
{
    char text[OVERSEER_LINE_BYTES + 2];
    int fds[2], n = snprintf(text, sizeof text, "%s\n", line);
    if (o->channel_fd < 0)
        return -ENOTSUP;
    if (n < 0 || n >= (int)sizeof text)
        return -EFBIG;
    int error = sys_socketpair(AF_UNIX, SOCK_STREAM, fds);
    if (error < 0)
        return error;
    ssize_t sent_n = sys_send(fds[0], text, (size_t)n, MSG_DONTWAIT); /* a new socket has room for it */
    error = sent_n == n ? contract_send_fd(o->channel_fd, CONTRACT_ASK, fds[1]) : sent_n < 0 ? (int)sent_n : -EIO;
    sys_close(fds[1]);
    if (error)
        sys_close(fds[0]);
    return error ? error : fds[0];
}

/* One by one: whoever is called may leave for another. None comes back, as there is a status now, or a failure. */
static void tell_waiters(struct overseer *o)
{
    for (struct overseer_waiter *w; (w = o->waiters);) {
        o->waiters = w->next;
        w->overseer = NULL;
        w->fn(w->context);
    }
}

static void end_question(struct overseer *o)
{
    if (o->fd < 0)
        return;
    loop_disarm(o->loop, &o->timer);
    loop_remove(o->loop, o->fd);
    sys_close(o->fd);
    o->fd = -1;
}

/* Others put it into what they tell: it is to be one whole object. */
static int is_status(const char *json, size_t json_n)
{
    static const char *const names[] = {"ok"};
    struct json_walk w = {json, json + json_n};
    struct json_value ok;
    if (json_read_members(&w, names, 1, JSON_EXACT, &ok) < 0 || ok.kind != JSON_TRUE)
        return 0;
    json_space(&w);
    return w.at == w.end;
}

static void take_answer(struct overseer *o)
{
    size_t n = buf_size(&o->coming);
    while (n > 0 && buf_data(&o->coming)[n - 1] == '\n')
        n--;
    buf_truncate(&o->coming, n);
    end_question(o);
    if (is_status(buf_data(&o->coming), n)) {
        buf_fini(&o->status);
        o->status = o->coming;
        buf_init(&o->coming, OVERSEER_STATUS_BYTES);
        o->status_at_ms = loop_now_ms(o->loop);
        o->failed_at_ms = 0;
    } else {
        o->failed_at_ms = loop_now_ms(o->loop);
    }
    buf_release(&o->coming);
    tell_waiters(o);
}

static void on_readable(void *context, short revents)
{
    struct overseer *o = context;
    char *at;
    (void)revents;
    if (buf_reserve(&o->coming, READ_BYTES, &at) < 0) {
        buf_release(&o->coming);
        take_answer(o);
        return;
    }
    ssize_t n = sys_recv(o->fd, at, READ_BYTES, MSG_DONTWAIT);
    if (n > 0)
        buf_commit(&o->coming, (size_t)n);
    else if (n != -EAGAIN)
        take_answer(o); /* it is whole where the supervisor has closed it */
}

static void on_late(void *context, int64_t now_ms)
{
    struct overseer *o = context;
    o->failed_at_ms = now_ms;
    tell_waiters(o);
}

static void ask(struct overseer *o)
{
    int64_t now_ms = loop_now_ms(o->loop);
    int fd = overseer_hand_up(o, "status");
    if (fd >= 0 && loop_add(o->loop, fd, POLLIN, on_readable, o) < 0) {
        sys_close(fd);
        fd = -ENOMEM;
    }
    if (fd < 0) {
        o->failed_at_ms = now_ms;
        return;
    }
    o->fd = fd;
    loop_arm(o->loop, &o->timer, now_ms + OVERSEER_WAIT_MS);
}

void overseer_init(struct overseer *o, struct loop *loop, int channel_fd)
{
    *o = (struct overseer){.loop = loop, .channel_fd = channel_fd, .fd = -1};
    buf_init(&o->coming, OVERSEER_STATUS_BYTES);
    buf_init(&o->status, 0);
    timer_init(&o->timer, on_late, o);
}

void overseer_fini(struct overseer *o)
{
    if (!o->loop)
        return;
    end_question(o);
    while (o->waiters)
        overseer_leave(o->waiters);
    buf_fini(&o->coming);
    buf_fini(&o->status);
    o->loop = NULL;
}

static int is_younger(const struct overseer *o, int64_t age_ms)
{
    return buf_size(&o->status) > 0 && !o->failed_at_ms && loop_now_ms(o->loop) - o->status_at_ms <= age_ms;
}

int overseer_refresh(struct overseer *o, struct overseer_waiter *w)
{
    int64_t now_ms = loop_now_ms(o->loop);
    int has_failed = o->failed_at_ms && now_ms - o->failed_at_ms < OVERSEER_REST_MS;
    if (w->overseer)
        return 0;
    if (o->channel_fd < 0 || has_failed || is_younger(o, OVERSEER_FRESH_MS))
        return 1;
    if (o->fd < 0)
        ask(o);
    if (o->fd < 0 || !timer_is_armed(&o->timer)) /* it can't be asked, or is late */
        return 1;
    w->overseer = o;
    w->next = o->waiters;
    o->waiters = w;
    return 0;
}

void overseer_leave(struct overseer_waiter *w)
{
    if (!w->overseer)
        return;
    for (struct overseer_waiter **at = &w->overseer->waiters; *at; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            break;
        }
    }
    w->overseer = NULL;
}

const char *overseer_status(const struct overseer *o, size_t *json_n)
{
    if (!o->loop || !is_younger(o, OVERSEER_OLD_MS))
        return NULL;
    *json_n = buf_size(&o->status);
    return buf_data(&o->status);
}
