/* See env.h. The fleet among what all exchanges share: it knows of the models what one Ollama would be asked for. */
#include "proxy/env.h"

#include "proxy/balance/fleet.h"
#include "proxy/upstreams.h"

enum { LOOK_MS = 1000 };

static int refresh(void *context, int64_t older_ms)
{
    const struct env *env = context;
    return members_refresh(fleet_members(env->fleet), older_ms);
}

static int write(void *context, struct buf *out)
{
    const struct env *env = context;
    return members_write_tags(fleet_members(env->fleet), out);
}

static void lists_changed(void *context)
{
    struct env *env = context;
    puller_relist(&env->puller);
    if (env->upstreams)
        upstreams_relist(env->upstreams);
}

/* See gate_has_fn. A list is as old as the last look at it: there is another one soon. */
static int has_model(void *context, const char *model)
{
    struct env *env = context;
    if (*model && members_list(fleet_members(env->fleet), model))
        return 1;
    if (!timer_is_armed(&env->list_timer)) /* this is asked at each look at the gate, which may come sooner */
        loop_arm(env->loop, &env->list_timer, loop_now_ms(env->loop) + LOOK_MS);
    return 0;
}

static void on_list_time(void *context, int64_t now_ms)
{
    struct env *env = context;
    (void)now_ms;
    (void)!members_refresh(fleet_members(env->fleet), LOOK_MS / 2);
    gate_review(&env->gate); /* who still waits has the timer armed again */
}

static void work(void *context, int is_begun)
{
    env_count_activity(context, is_begun);
}

static void failed(void *context, const struct member *m)
{
    env_backend_failed(context, m->name, m->why);
}

int env_open_fleet(struct env *env)
{
    const struct fleet_site site = {
        .loop = env->loop, .conf = env->conf, .tell = &env->tell, .waiting = &env->waiting, .lists_changed = lists_changed, .work = work, .failed = failed, .context = env};
    int error = fleet_new(&env->fleet, &site);
    if (error || !env->fleet)
        return error;
    env->lister = (struct lister){.refresh = refresh, .write = write, .context = env};
    env->puller.site.lister = &env->lister;
    timer_init(&env->list_timer, on_list_time, env);
    env->gate.has = has_model;
    env->gate.has_context = env;
    return 0;
}

void env_close_fleet(struct env *env)
{
    if (env->fleet)
        loop_disarm(env->loop, &env->list_timer);
    fleet_free(&env->fleet);
}
