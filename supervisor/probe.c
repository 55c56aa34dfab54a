/*
 * See probe.h. One connection a try, closed by us: what counts is an answer to this very question. An open port says
 * nothing, as Ollama listens long before it can answer.
 */
#include "supervisor/probe.h"

#include "supervisor/http_answer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { READY_WITHIN_MS = 2000 };

static void probe_timer(void *context, int64_t now_ms);

void probe_init(struct probe *p, struct loop *loop, struct probe_room *room, void (*told)(void *context, int is_good),
                void *context)
{
    memset(p, 0, sizeof *p);
    p->loop = loop;
    p->room = room;
    p->told = told;
    p->context = context;
    p->fd = -1;
    timer_init(&p->timer, probe_timer, p);
}

static void hang_up(struct probe *p)
{
    if (p->fd < 0)
        return;
    loop_remove(p->loop, p->fd);
    sys_close(p->fd);
    p->fd = -1;
}

static int64_t pause_ms(const struct probe *p, int64_t now_ms)
{
    int64_t age_ms = now_ms - p->started_at_ms;
    if (p->interval_ms > 0)
        return p->interval_ms;
    return age_ms < 2000 ? 5 : age_ms < 10000 ? 100 : 500;
}

static void wait_for_next(struct probe *p)
{
    int64_t now_ms = loop_now_ms(p->loop);
    hang_up(p);
    p->state = PROBE_WAITING;
    loop_arm(p->loop, &p->timer, now_ms + pause_ms(p, now_ms));
}

static void try_later(struct probe *p, const char *why)
{
    snprintf(p->why, sizeof p->why, "%s", why);
    wait_for_next(p);
    if (p->interval_ms > 0)
        p->told(p->context, 0);
}

static void answered(struct probe *p)
{
    p->why[0] = '\0';
    if (p->interval_ms > 0)
        wait_for_next(p);
    else
        probe_stop(p);
    p->told(p->context, 1);
}

/* "HTTP/1.x 200 …", and the text that must be in it. 1 good, 0 not complete yet, -1 bad. */
static int judge(struct probe *p, int is_end)
{
    p->room->answer[p->answer_n] = '\0';
    int status = http_answer_status(p->room->answer);
    if (status == 0)
        return is_end ? -1 : 0;
    if (status != 200)
        return -1;
    if (!p->must_contain)
        return 1;
    const char *body = http_answer_body(p->room->answer);
    int is_full = p->answer_n == PROBE_ANSWER_BYTES - 1; /* a long list: what we have of it must do */
    if (body && (is_full || http_answer_is_complete(p->room->answer, body, is_end)))
        return strstr(body, p->must_contain) ? 1 : -1;
    return is_end || is_full ? -1 : 0;
}

static void refuse_answer(struct probe *p)
{
    char why[PROBE_WHY_BYTES];
    size_t line_n = strcspn(p->room->answer, "\r\n");
    if (p->answer_n == 0)
        snprintf(why, sizeof why, "closed without an answer");
    else
        snprintf(why, sizeof why, "answers \"%.*s\"%s", line_n > 40 ? 40 : (int)line_n, p->room->answer,
                 http_answer_status(p->room->answer) == 200 ? ", but not as Ollama does" : "");
    try_later(p, why);
}

static void send_question(struct probe *p)
{
    char host[ADDRESS_TEXT_BYTES], question[PROBE_PATH_BYTES + ADDRESS_TEXT_BYTES + 64];
    address_text(&p->address, host);
    int n = snprintf(question, sizeof question, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", p->room->path, host);
    int error = sys_socket_error(p->fd);
    if (!error) {
        ssize_t sent = sys_send(p->fd, question, (size_t)n, 0);
        error = sent == n ? 0 : sent < 0 ? (int)sent : -EPIPE;
    }
    if (error) {
        try_later(p, strerror(-error));
        return;
    }
    p->state = PROBE_READING;
    p->answer_n = 0;
    loop_set_events(p->loop, p->fd, POLLIN);
}

static void read_answer(struct probe *p)
{
    ssize_t n = sys_recv(p->fd, p->room->answer + p->answer_n, PROBE_ANSWER_BYTES - 1 - p->answer_n, 0);
    if (n == -EAGAIN)
        return;
    if (n > 0)
        p->answer_n += (size_t)n;
    int verdict = judge(p, n <= 0);
    if (verdict < 0)
        refuse_answer(p);
    if (verdict > 0)
        answered(p);
}

static void probe_ready(void *context, short revents)
{
    struct probe *p = context;
    (void)revents;
    if (p->state == PROBE_CONNECTING)
        send_question(p);
    else
        read_answer(p);
}

static int64_t limit_ms(const struct probe *p)
{
    if (p->interval_ms > 0)
        return p->interval_ms;
    return READY_WITHIN_MS + p->asked_at_ms - p->started_at_ms; /* ever longer: a slow disk is slow for the next question too */
}

/* What we are short of ourselves says nothing about the one that is asked. */
static int is_our_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS || error == -EADDRNOTAVAIL || error == -EAGAIN;
}

static void ask(struct probe *p, int64_t now_ms)
{
    struct sockaddr_storage to;
    socklen_t to_n;
    int error = address_to_sockaddr(&p->address, &to, &to_n);
    if (!error)
        error = p->fd = sys_socket(to.ss_family, SOCK_STREAM, 0);
    if (error >= 0) {
        error = sys_connect(p->fd, (struct sockaddr *)&to, to_n);
        if (error == -EINPROGRESS)
            error = 0;
    }
    if (error >= 0)
        error = loop_add(p->loop, p->fd, POLLOUT, probe_ready, p);
    if (is_our_shortage(error)) {
        wait_for_next(p);
        return;
    }
    if (error < 0) {
        try_later(p, strerror(-error));
        return;
    }
    p->state = PROBE_CONNECTING;
    p->asked_at_ms = now_ms;
    loop_arm(p->loop, &p->timer, now_ms + limit_ms(p));
}

static void probe_timer(void *context, int64_t now_ms)
{
    struct probe *p = context;
    char why[PROBE_WHY_BYTES];
    int64_t limit = limit_ms(p);
    if (p->state == PROBE_WAITING) {
        ask(p, now_ms);
    } else if (p->state != PROBE_OFF) {
        if (limit < 1000)
            snprintf(why, sizeof why, "no answer within %lld ms", (long long)limit);
        else
            snprintf(why, sizeof why, "no answer within %llds", (long long)(limit / 1000));
        try_later(p, why);
    }
}

static void begin(struct probe *p, const struct address *address, const char *path, const char *must_contain,
                  int64_t interval_ms)
{
    probe_stop(p);
    p->address = *address;
    snprintf(p->room->path, sizeof p->room->path, "%s", path);
    p->must_contain = must_contain;
    p->started_at_ms = loop_now_ms(p->loop);
    p->interval_ms = interval_ms;
    p->state = PROBE_WAITING;
    loop_arm(p->loop, &p->timer, p->started_at_ms + interval_ms);
}

void probe_start(struct probe *p, const struct address *address, const char *path, const char *must_contain)
{
    begin(p, address, path, must_contain, 0);
}

void probe_watch(struct probe *p, const struct address *address, const char *path, const char *must_contain,
                 int64_t interval_ms)
{
    begin(p, address, path, must_contain, interval_ms);
}

void probe_stop(struct probe *p)
{
    hang_up(p);
    loop_disarm(p->loop, &p->timer);
    p->state = PROBE_OFF;
    p->why[0] = '\0';
}
