/*
 * See client_state.h. How long a client may take: for its header, for a body, for what it is sent, and to hear an error out.
 * There is no limit on an answer: models take as long as they take.
 */
#include "proxy/client.h"
#include "proxy/client_state.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

static int64_t now_of(const struct client *c)
{
    return loop_now_ms(c->bytes.loop);
}

/* A body may be behind the least rate for as long as a header may take. */
static int64_t grace_ms(const struct client *c)
{
    int64_t ms = client_conf(c)->header_timeout_ms;
    return ms < PACE_GRACE_MAX_MS ? ms : PACE_GRACE_MAX_MS;
}

static int64_t rate_of(const struct client *c)
{
    return client_conf(c)->min_upload_rate_bytes;
}

static int64_t stall_step_ms(const struct client *c)
{
    int64_t step_ms = client_conf(c)->write_timeout_ms / 4;
    return step_ms > 0 ? step_ms : 1;
}

int64_t client_deadline_ms(const struct client *c, enum client_state state)
{
    const struct conf_proxy *conf = client_conf(c);
    int64_t out_ms = connection_pending_bytes(&c->bytes) > 0 ? stall_step_ms(c) : 0;
    const int64_t limits_ms[CLIENT_STATE_COUNT] = {
        [CLIENT_IDLE] = conf->keepalive_timeout_ms ? conf->keepalive_timeout_ms : conf->header_timeout_ms,
        [CLIENT_HEAD] = conf->header_timeout_ms,
        [CLIENT_BODY] = conf->write_timeout_ms,
        [CLIENT_ANSWER] = out_ms,
        [CLIENT_DISCARD] = conf->header_timeout_ms,
        [CLIENT_FLUSH] = out_ms,
        [CLIENT_LINGER] = CLIENT_LINGER_MS,
    };
    if (c->is_unwelcome && (state == CLIENT_IDLE || state == CLIENT_HEAD))
        return limits_ms[state] < CLIENT_UNWELCOME_MS ? limits_ms[state] : CLIENT_UNWELCOME_MS;
    return limits_ms[state];
}

void client_begin_body(struct client *c)
{
    pace_in_begin(&c->pace_in, rate_of(c), grace_ms(c), now_of(c));
}

void client_wait_for_body(struct client *c, int is_waited_for)
{
    int64_t limit_ms = client_conf(c)->write_timeout_ms;
    pace_in_wait(&c->pace_in, rate_of(c), is_waited_for, now_of(c));
    if (!is_waited_for) {
        client_arm_in(c, connection_pending_bytes(&c->bytes) > 0 ? stall_step_ms(c) : 0);
        return;
    }
    int64_t left_ms = pace_in_left_ms(&c->pace_in, rate_of(c));
    left_ms = left_ms < 0 || left_ms > limit_ms ? limit_ms : left_ms;
    client_arm_in(c, left_ms > 0 ? left_ms : 1);
}

/* The wait before these bytes is taken off first: a full grace has no room for what they give. */
void client_count_body(struct client *c, size_t bytes_n)
{
    pace_in_wait(&c->pace_in, rate_of(c), 1, now_of(c));
    pace_in_came(&c->pace_in, rate_of(c), grace_ms(c), bytes_n);
}

int client_is_below_rate(struct client *c)
{
    pace_in_wait(&c->pace_in, rate_of(c), 1, now_of(c));
    return pace_in_left_ms(&c->pace_in, rate_of(c)) == 0;
}

/* From here on we look whether it takes bytes. The kernel would end one that reads slowly, too: while there is no room for a whole segment of ours in
 * its window, it counts as silent, however much it takes (Linux 6.18: a reader of 40 KB/s after twice write_timeout). tcp(7) TCP_USER_TIMEOUT */
static void judge_ourselves(struct client *c)
{
    if (!c->is_judged_by_us)
        (void)!sys_setsockopt_int(c->bytes.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 0);
    c->is_judged_by_us = 1;
}

void client_took_bytes(struct client *c)
{
    judge_ourselves(c);
    pace_out_begin(&c->pace_out, now_of(c));
    if (c->state != CLIENT_BODY) /* whose timer is the body's */
        client_arm_in(c, client_deadline_ms(c, c->state));
}

int client_is_let_off(struct client *c)
{
    int is_sending = c->state == CLIENT_ANSWER || c->state == CLIENT_FLUSH ||
                     (c->state == CLIENT_BODY && !exchange_wants_body(c->exchange));
    if (!is_sending)
        return 0;
    if (connection_pending_bytes(&c->bytes) == 0)
        return 1;
    if (pace_out_is_stalled(&c->pace_out, sys_unsent_bytes(c->bytes.fd), client_conf(c)->write_timeout_ms, now_of(c)))
        return 0;
    client_arm_in(c, stall_step_ms(c));
    return 1;
}

/* Most clients read nothing before they have sent all of a body: whose picture is refused hears why, though his line is slow. One that
 * is larger than any is not waited for. */
static int64_t rest_of_body_ms(const struct client *c)
{
    int64_t most_bytes = client_conf(c)->max_body_bytes, bytes = c->request.is_chunked ? most_bytes : c->request.length_bytes;
    if (c->state != CLIENT_FLUSH || http1_is_complete(&c->parser) || c->parser.refusal.status || bytes > most_bytes)
        return 0;
    return bytes > 0 ? bytes / CLIENT_LINGER_BYTES_A_MS : 0;
}

void client_begin_linger(struct client *c)
{
    c->linger_since_ms = now_of(c);
    c->linger_until_ms = c->linger_since_ms + CLIENT_LINGER_MAX_MS + rest_of_body_ms(c);
}

void client_linger_on(struct client *c)
{
    int64_t left_ms = c->linger_until_ms - now_of(c);
    left_ms = left_ms > CLIENT_LINGER_MS ? CLIENT_LINGER_MS : left_ms;
    client_arm_in(c, left_ms > 0 ? left_ms : 1);
}

int client_is_spare(const struct client *c)
{
    int64_t now_ms = now_of(c);
    switch (c->state) {
    case CLIENT_IDLE:
        return c->has_asked || now_ms - (c->timer.at_ms - client_deadline_ms(c, CLIENT_IDLE)) >= CLIENT_FIRST_REQUEST_MS;
    case CLIENT_HEAD:
        return now_ms - (c->timer.at_ms - client_deadline_ms(c, CLIENT_HEAD)) >= CLIENT_SLOW_HEAD_MS;
    case CLIENT_LINGER:
        return now_ms - c->linger_since_ms >= CLIENT_FIRST_REQUEST_MS;
    default:
        return 0;
    }
}
