/*
 * See client_state.h. What a client notes of a request: it is counted, and has a line in the access log, when it ends, however it ends.
 */
#include "proxy/client_state.h"

#include "proxy/observe/observe.h"

#include <stdlib.h>
#include <string.h>

void client_access_begin(struct client *c)
{
    if (!c->asked.is_open)
        c->asked = (struct asked_for){.is_open = 1, .cut = ACCESS_CLIENT_GONE, .began_ms = loop_now_ms(c->bytes.loop), .written_before_bytes = c->bytes.written_bytes};
}

/* While an answer is made its exchange knows all: this is needed behind it alone. NULL: no memory. */
static struct access *open_access(struct client *c)
{
    struct client_host *host = c->host;
    if (c->access || !c->asked.is_open)
        return c->access;
    c->access = host->spare_access ? host->spare_access : malloc(sizeof *c->access);
    host->spare_access = NULL;
    if (c->access)
        access_init(c->access, c->peer.text, c->asked.began_ms);
    return c->access;
}

static void close_access(struct client *c)
{
    access_fini(c->access);
    if (c->host->spare_access)
        free(c->access);
    else
        c->host->spare_access = c->access;
    c->access = NULL;
}

void client_access_refused(struct client *c, int status, const char *code, const char *text)
{
    struct access *a = open_access(c);
    if (!a)
        return;
    a->status = status;
    a->code = code;
    a->ended = access_end_of(status, code);
    free(a->error);
    a->error = strndup(text, ACCESS_ERROR_BYTES);
}

static void report(struct client *c)
{
    c->access->first_byte_ms = c->asked.first_byte_ms;
    exchange_report(c->exchange, c->access);
    c->asked.first_byte_ms = c->access->first_byte_ms; /* none where all that it had were heartbeats */
}

void client_access_answered(struct client *c)
{
    if (open_access(c))
        report(c);
}

/* It closes as soon as it reads that this was all, as some do at `[DONE]`. */
static int has_left_with_all(struct client *c)
{
    return c->asked.cut == ACCESS_CLIENT_GONE && c->exchange && connection_pending_bytes(&c->bytes) == 0 && exchange_has_told_all(c->exchange);
}

static void tell(struct client *c)
{
    enum conf_access_log log = (enum conf_access_log)client_conf(c)->access_log;
    int64_t now_ms = loop_now_ms(c->bytes.loop);
    uint64_t out_bytes = c->bytes.written_bytes - c->asked.written_before_bytes;
    struct access *a = c->access;
    a->in_bytes = c->asked.in_bytes;
    if (a->first_byte_ms == 0) /* a refusal's */
        a->first_byte_ms = c->asked.first_byte_ms;
    observe_end(c->host->env->observe, a, &c->request, now_ms, sys_realtime_ms(), out_bytes);
    if (log != CONF_ACCESS_LOG_OFF)
        access_write(a, &c->request, log == CONF_ACCESS_LOG_JSON, now_ms, out_bytes);
}

void client_access_end(struct client *c)
{
    if (!c->asked.is_open)
        return;
    int is_whole = (c->state == CLIENT_FLUSH || c->state == CLIENT_DISCARD) && connection_pending_bytes(&c->bytes) == 0 &&
                   !c->bytes.is_broken;
    if (open_access(c)) {
        if (!is_whole && c->exchange)
            report(c);
        if (!is_whole && !has_left_with_all(c))
            c->access->ended = c->asked.cut;
        tell(c);
        close_access(c);
    } else {
        log_whole_line(NULL, 0);
    }
    c->asked.is_open = 0;
}
