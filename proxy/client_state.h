/*
 * client_state: what the files of a client share, and nobody else: client.c (its life and its events), client_steps.c (what
 * each state does), client_sink.c (what its exchange asks of it), client_ahead.c (what comes during an answer),
 * client_limits.c (how long it may take), client_access.c (what is counted of a request, and told by the access log),
 * client_state.c (states).
 */
#ifndef PROXY_CLIENT_STATE_H
#define PROXY_CLIENT_STATE_H

#include "proxy/client_host.h"
#include "proxy/connection.h"
#include "proxy/exchange.h"
#include "proxy/http1.h"
#include "proxy/pace.h"

enum client_state {
    CLIENT_IDLE,
    CLIENT_HEAD,
    CLIENT_BODY,
    CLIENT_ANSWER,
    CLIENT_DISCARD,
    CLIENT_FLUSH,
    CLIENT_LINGER,
    CLIENT_GONE,
    CLIENT_STATE_COUNT
};

enum step { STEP_NEXT, STEP_WAIT, STEP_CLOSE };

/* What is to be known of a request, and its exchange does not. */
struct asked_for {
    int is_open;             /* it has begun, and not ended */
    enum access_end cut;     /* why it ends where it ends before its answer is whole */
    int64_t began_ms;
    int64_t first_byte_ms;   /* of what it was sent; 0: nothing yet */
    uint64_t in_bytes;
    uint64_t written_before_bytes; /* by this connection, for earlier requests */
};

struct client {
    struct client_link link;
    struct client_host *host; /* borrowed */
    struct exchange_sink sink;
    struct connection bytes;   /* what a token needs is at its beginning, and just above */
    struct peer peer;
    enum client_state state;
    struct message request;
    struct http1 parser;
    struct exchange *exchange; /* owned; NULL while there is none */
    int64_t since_ms;         /* when it came into its state */
    struct timer timer;       /* the state's deadline, or that of a client that takes nothing */
    struct deferred work;
    struct asked_for asked;   /* its request, until that ends */
    struct access *access;    /* owned: what is known of it behind its answer, while that goes out; else NULL */
    struct pace_in pace_in;   /* of a body */
    struct pace_out pace_out; /* of what it is sent */
    int is_judged_by_us;      /* … by us alone, and no more by the kernel */
    int64_t linger_since_ms, linger_until_ms;
    uint64_t ahead_dropped_bytes; /* during an answer */
    enum exchange_end end;
    int is_answered;          /* the exchange is done */
    int is_kept;              /* another request may follow */
    int is_reset_due;         /* only a reset can tell that the answer is not whole */
    int has_peer_ended;       /* it sends no more */
    int is_ahead_lost;        /* it sent more ahead than is kept: the connection ends with this answer */
    int is_continue_sent;
    int is_unwelcome;         /* its address has too many connections */
    int has_asked;            /* there was a request on this connection */
};

/* [proxy] of the configuration. Borrowed. */
static inline const struct conf_proxy *client_conf(const struct client *c)
{
    return &c->host->env->conf->proxy;
}

/* Another deadline; 0: none. */
static inline void client_arm_in(struct client *c, int64_t delay_ms)
{
    struct loop *loop = c->bytes.loop;
    if (delay_ms > 0)
        loop_arm(loop, &c->timer, loop_now_ms(loop) + delay_ms);
    else
        loop_disarm(loop, &c->timer);
}

/* The one place where a state changes: it is logged, and gets its deadline. */
void client_enter(struct client *c, enum client_state state);
/* The state machine runs at the end of the turn. */
void client_defer_run(struct client *c);

/* client_limits.c: how long a state may last; 0: as long as it takes. */
int64_t client_deadline_ms(const struct client *c, enum client_state state);
/* A body begins; it is waited for now, or not; so much of it has come. */
void client_begin_body(struct client *c);
void client_wait_for_body(struct client *c, int is_waited_for);
void client_count_body(struct client *c, size_t bytes_n);
/* It is waited for, and comes slower than min_upload_rate. */
int client_is_below_rate(struct client *c);
/* It has taken some of what it is sent, or must do so from now on. */
void client_took_bytes(struct client *c);
/* A deadline has come: whether it may go on all the same, with another one. */
int client_is_let_off(struct client *c);
/* The last answer has gone out: what still comes is read for a while. */
void client_begin_linger(struct client *c);
void client_linger_on(struct client *c);

/* client_steps.c: by state; none for CLIENT_GONE. */
extern enum step (*const client_steps[CLIENT_STATE_COUNT])(struct client *);
/* Takes a request's body from the parser; never fails. */
int client_on_body(void *context, const char *bytes, size_t bytes_n);
/* 429, where its address has too many connections. */
void client_refuse_unwelcome(struct client *c);
/* An error that the connection itself answers; the connection ends with it. */
void client_refuse(struct client *c, int status, const char *code, const char *text);
/* The same in the middle of a body: where the answer has begun already, that one ends. */
void client_refuse_body(struct client *c, int status, const char *code, const char *text);

/* client_ahead.c: whether what comes now is read ahead. */
int client_reads_ahead(const struct client *c);
/* As connection_read(); only what is left of the client's next requests is kept. */
ssize_t client_read_ahead(struct client *c) WARN_UNUSED;
/* It sends no more: whether it gets its answer all the same. */
int client_is_served_half_closed(const struct client *c);
/* Whether another request may follow on this connection, as far as the client is concerned. */
int client_may_ask_again(const struct client *c);

/* client_leave.c: there is no request on it, and we drain. STEP_WAIT where it may still ask, or is passed on in a moment. */
enum step client_leave(struct client *c);

/* client_access.c: a request begins with its first byte … */
void client_access_begin(struct client *c);
/* … was refused by the connection itself … */
void client_access_refused(struct client *c, int status, const char *code, const char *text);
/* … has got its answer, which need not be sent … */
void client_access_answered(struct client *c);
/* … and ends: its line is written. Nothing where it has ended. */
void client_access_end(struct client *c);

/* client_sink.c: fills c->sink. */
void client_sink_init(struct client *c);
/* Sends, or keeps what the socket does not take. */
void client_send(struct client *c, const struct iovec *parts, int parts_n);

#endif
