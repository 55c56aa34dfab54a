/*
 * See nap.h. Where only Ollama is to stop, we stay: who merely reads keeps nobody awake, as he can be answered without it (and
 * asked for once more, where he was just with it). An answer that has begun is waited for, as such ones take milliseconds; so is
 * a request of which something has come, as it may be any. Who is in doubt for longer keeps it awake.
 */
#include "proxy/nap.h"

#include "common/log.h"

enum {
    PREPARE_MS = 1200, /* for what Ollama is asked */
    ANSWER_MS = 1600,  /* … and until the answer: the supervisor waits 2 s for it (supervisor/falling.h) */
    LOOK_MS = 20,
};

static int is_quiet(const struct nap *n)
{
    return atomic_load(&n->env->line->in_flight_n) == 0 && clients_are_quiet(n->clients) && listeners_are_quiet(n->listeners);
}

/* Whether all is well where Ollama goes, and we stay. */
static int is_without_need(const struct nap *n)
{
    return atomic_load(&n->env->line->in_flight_n) == 0 && clients_spare_backend(n->clients) && listeners_are_quiet(n->listeners);
}

static void answer(struct nap *n, int may_sleep)
{
    n->is_asked = 0;
    loop_disarm(n->env->loop, &n->timer);
    uint32_t value = contract_nap_value(contract_nap_number(n->question), (uint32_t)may_sleep);
    if (contract_send(n->env->channel_fd, CONTRACT_SLEEP, value, "") < 0)
        log_event(LOG_WARNING, "channel", "reason=\"an answer could not be sent\"");
}

static void look(struct nap *n)
{
    int64_t now_ms = loop_now_ms(n->env->loop);
    if (!n->is_asked) /* another question has come meanwhile, and was answered at once */
        return;
    if (is_without_need(n))
        answer(n, 1);
    else if (atomic_load(&n->env->line->in_flight_n) > 0 || now_ms >= n->until_ms)
        answer(n, 0);
    else
        loop_arm(n->env->loop, &n->timer, now_ms + LOOK_MS);
}

static void on_timer(void *context, int64_t now_ms)
{
    (void)now_ms;
    look(context);
}

/* Whatever was not learnt wakes it when it is asked for: no reason to stay awake. */
static void on_prepared(void *context, int is_complete)
{
    log_event(LOG_DEBUG, "prepared", "complete=%d", is_complete);
    look(context);
}

void nap_init(struct nap *n, struct env *env, struct clients *clients, const struct listeners *listeners)
{
    *n = (struct nap){.env = env, .clients = clients, .listeners = listeners};
    timer_init(&n->timer, on_timer, n);
}

void nap_fini(struct nap *n)
{
    if (n->env)
        loop_disarm(n->env->loop, &n->timer);
}

/* The last question: nobody is let in any more. When those are gone who are only kept, a yes stays one. */
static int may_end(struct nap *n)
{
    return is_quiet(n) && clients_part(n->clients) && is_quiet(n);
}

void nap_asked(struct nap *n, uint32_t question)
{
    n->question = question;
    if (contract_nap_of(question) == CONTRACT_NAP_LAST) {
        answer(n, may_end(n));
    } else if (contract_nap_of(question) != CONTRACT_NAP_STOP || n->env->is_draining) { /* of one that drains nothing is heard */
        answer(n, is_quiet(n));
    } else if (atomic_load(&n->env->line->in_flight_n) > 0) {
        answer(n, 0);
    } else {
        n->is_asked = 1;
        n->until_ms = loop_now_ms(n->env->loop) + ANSWER_MS;
        loop_disarm(n->env->loop, &n->timer);
        asleep_prepare(&n->env->asleep, PREPARE_MS, on_prepared, n);
    }
}
