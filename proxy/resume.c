/*
 * See resume.h. A connection that was kept may be dead without knowing: the other machine, or a router on the way, has forgotten
 * it, and no byte will ever come back. One that answers is left alone: if it is dead its end is told, or asked for by the kernel
 * (proxy/backend.c).
 */
#include "proxy/resume.h"

#include "common/log.h"

static void look(void *context)
{
    struct resume *r = context;
    int64_t by_ms;
    if (gap_look(&r->gap, r->env->loop, &by_ms) == CLOCKS_STEADY)
        return;
    log_event(LOG_DEBUG, "resumed", "by_ms=%lld", (long long)by_ms); /* the supervisor tells it to people */
    resume_told(r);
}

void resume_told(struct resume *r)
{
    backend_drop_idle(r->env->backend);
    gpu_watch_resumed(&r->env->gpu);
    loads_doubt_all(&r->env->loader.loads); /* what was loaded may have gone meanwhile, by a clock that went on */
}

void resume_init(struct resume *r, struct env *env)
{
    r->env = env;
    gap_init(&r->gap, env->loop);
    env->loop->woken_context = r;
    env->loop->woken = look;
}

int64_t resume_longest_wait_ms(const struct resume *r, size_t clients_n)
{
    return clients_n > 0 || r->env->loader.loads.loading_n > 0 || pulls_under_way_n(&r->env->puller.pulls) > 0 ? LOOP_FREEZE_MS : -1;
}
