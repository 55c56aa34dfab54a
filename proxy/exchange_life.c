/* See exchange_state.h. An exchange's memory, from its beginning, when it does nothing yet, to its end. */
#include "proxy/exchange.h"

#include "proxy/exchange_observe.h"
#include "proxy/exchange_serve.h"
#include "proxy/map.h"
#include "proxy/priority.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Each request needs one, and libc's free lists for what is so large are slow: a few are kept, the latest first. */
static struct exchange *take_spare(struct env *env)
{
    struct exchange *x = env->spare;
    env->spare = x->next_spare;
    env->spares_n--;
    return x;
}

static void give_back(struct exchange *x)
{
    struct env *env = x->env;
    if (env->spares_n == EXCHANGE_SPARES) {
        free(x);
        return;
    }
    x->next_spare = env->spare;
    env->spare = x;
    env->spares_n++;
}

void exchange_free_spares(struct env *env)
{
    while (env->spare)
        free(take_spare(env));
}

/* By enum conf_encoding. */
static const char *const encodings[] = {NULL, "Content-Encoding: none\r\n", "Content-Encoding: identity\r\n"};

int exchange_make(struct exchange **out, struct env *env, const struct message *request, const struct exchange_sink *sink)
{
    struct exchange *x = env->spare ? take_spare(env) : malloc(sizeof *x);
    if (!x)
        return -ENOMEM;
    memset(x, 0, offsetof(struct exchange, ending)); /* of the rest nobody reads what he has not written */
    ending_begin(&x->ending, ENDING_NONE);
    x->env = env;
    x->request = request;
    x->sink = sink;
    deliver_init(&x->deliver, &sink->deliver, request->minor, request->method == METHOD_HEAD);
    x->deliver.encoding = encodings[env->conf->proxy.stream_encoding];
    answer_init(&x->answer, &x->deliver);
    buf_init(&x->body, (size_t)env->conf->proxy.max_body_bytes);
    x->priority = BALANCE_PRIORITY;
    x->began_ms = x->since_ms = x->entered_ms = loop_now_ms(env->loop);
    exchange_wait_init(x, &exchange_way);
    relay_init(&x->relay, env->backend, &x->answer, &x->ending, env->line, &exchange_relay_ops, x);
    x->asked = (struct asked){.stalled = exchange_stalled, .context = x};
    *out = x;
    return 0;
}

static void free_inner(struct inner *inner)
{
    if (inner)
        message_fini(&inner->request);
    free(inner);
}

void exchange_free(struct exchange **x)
{
    if (!*x)
        return;
    exchange_tally_left(*x);
    exchange_let_go(*x);
    exchange_leave_generation(*x);
    relay_fini(&(*x)->relay);
    answer_fini(&(*x)->answer);
    deliver_fini(&(*x)->deliver);
    exchange_drop_body(*x);
    buf_fini(&(*x)->why_text);
    free((*x)->error);
    free((*x)->engine);
    if ((*x)->hub)
        exchange_free_hub(*x);
    free((*x)->fleet);
    free((*x)->check);
    free((*x)->look);
    free((*x)->plan);
    map_free(&(*x)->map);
    free_inner((*x)->inner);
    give_back(*x);
    *x = NULL;
}
