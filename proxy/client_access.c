/*
 * See client_state.h. What a client notes for the access log: one line for each request, when it ends, however it ends.
 * Where no log is wanted nothing is noted, and nothing is allocated.
 */
#include "proxy/client_state.h"

#include <stdlib.h>

void client_access_begin(struct client *c)
{
    if (client_conf(c)->access_log == CONF_ACCESS_LOG_OFF || c->access)
        return;
    c->access = malloc(sizeof *c->access);
    if (c->access)
        access_init(c->access, c->peer.text, loop_now_ms(c->bytes.loop), c->bytes.written_bytes);
    else
        log_whole_line(NULL, 0);
}

void client_access_refused(struct client *c, int status, const char *code)
{
    if (!c->access)
        return;
    c->access->status = status;
    c->access->code = code;
    c->access->ended = access_end_of(status, code);
}

void client_access_answered(struct client *c)
{
    if (c->access)
        exchange_report(c->exchange, c->access);
}

/* It closes as soon as it reads that this was all, as some do at `[DONE]`. */
static int has_left_with_all(struct client *c)
{
    return c->access->cut == ACCESS_CLIENT_GONE && c->exchange && connection_pending_bytes(&c->bytes) == 0 && exchange_has_told_all(c->exchange);
}

void client_access_end(struct client *c)
{
    if (!c->access)
        return;
    int is_whole = (c->state == CLIENT_FLUSH || c->state == CLIENT_DISCARD) && connection_pending_bytes(&c->bytes) == 0 &&
                   !c->bytes.is_broken;
    if (!is_whole && c->exchange)
        exchange_report(c->exchange, c->access);
    if (!is_whole && !has_left_with_all(c))
        c->access->ended = c->access->cut;
    access_write(c->access, &c->request, client_conf(c)->access_log == CONF_ACCESS_LOG_JSON, loop_now_ms(c->bytes.loop),
                 c->bytes.written_bytes - c->access->written_before_bytes);
    free(c->access);
    c->access = NULL;
}
