/* See env.h. The fleet among what all exchanges share: it knows of the models what one Ollama would be asked for. */
#include "proxy/env.h"

#include "proxy/balance/fleet.h"
#include "proxy/upstreams.h"

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

static void work(void *context, int is_begun)
{
    env_count_activity(context, is_begun);
}

int env_open_fleet(struct env *env)
{
    const struct fleet_site site = {
        .loop = env->loop, .conf = env->conf, .tell = &env->tell, .waiting = &env->waiting, .lists_changed = lists_changed, .work = work, .context = env};
    int error = fleet_new(&env->fleet, &site);
    if (error || !env->fleet)
        return error;
    env->lister = (struct lister){.refresh = refresh, .write = write, .context = env};
    env->puller.site.lister = &env->lister;
    return 0;
}

void env_close_fleet(struct env *env)
{
    fleet_free(&env->fleet);
}
