/*
 * See exchange_state.h. Which request goes first, and for whom it counts (priority.h). It is read where it decides something, and where the path
 * says that it is: a body of an API that knows another `priority`, or none, is passed as it is.
 */
#include "common/hash.h"
#include "proxy/exchange_state.h"
#include "proxy/priority.h"
#include "proxy/splice_body.h"

#include <errno.h>

static int is_read(const struct exchange *x)
{
    const struct route *route = x->admission.route;
    if (x->inner) /* it has its maker's */
        return 0;
    return route->shape == SHAPE_LINES_ASKED || (x->env->conf->is_fleet && route->needs_model && !x->upstream);
}

static int priority_of_key(const struct exchange *x)
{
    const struct conf_key *key = x->admission.key;
    return key && conf_key_has_priority(key) ? (int)key->priority : PRIORITY_UNSAID;
}

/* As limits.h counts him: his key, else his address. The same for all replicas. */
static uint64_t payer_of(const struct limits_who *who)
{
    uint64_t h = who->key ? hash_bytes(hash_add(HASH_START, 'k'), who->key, strlen(who->key))
                          : hash_bytes(hash_add(HASH_START, 'a'), (const char *)who->ip.bytes, sizeof who->ip.bytes);
    return h ? h : 1; /* 0 is nobody */
}

/* Of the body, which is none of Ollama's API. */
static int take_out(struct exchange *x)
{
    static const struct json_edit edit = {0, "priority", NULL, JSON_REMOVE};
    int error = splice_body(&x->body, &(struct json_edits){.items = &edit, .items_n = 1});
    if (error == -E2BIG)
        exchange_fail(x, 400, "too_many_names", "the body says priority again and again");
    else if (error)
        exchange_break_off(x, ACCESS_FAILED, "out of memory");
    return error ? -1 : 0;
}

int exchange_read_priority(struct exchange *x)
{
    char why[PRIORITY_WHY_BYTES];
    struct priority_said said;
    if (!is_read(x))
        return 0;
    if (priority_read(&said, x->request, buf_data(&x->body), buf_size(&x->body), why) < 0) {
        exchange_read_body(x); /* the access log names its model all the same */
        exchange_fail(x, 400, "invalid_request", why);
        return -1;
    }
    x->priority = (unsigned char)priority_choose(&said, priority_of_key(x));
    x->payer = payer_of(&x->limited);
    exchange_tell_times(x);
    return said.is_in_body ? take_out(x) : 0;
}
