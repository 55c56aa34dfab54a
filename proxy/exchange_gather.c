/* See exchange_state.h. What /health, /metrics and /sidecar/status are told from. */
#include "proxy/exchange_fleet.h"

void exchange_gather(const struct env *env, struct check_facts *facts, struct fleet_facts *fleet)
{
    *facts = (struct check_facts){.page = env->page, .line = env->line, .queue = &env->queue, .loads = &env->loader.loads};
    facts->is_draining = env->is_draining && !env_has_successor(env);
    facts->is_backend_ours = env->conf->is_backend_ours;
    facts->is_alone = env->conf->is_alone;
    facts->cooldowns = &env->loader.cooldowns;
    facts->pulls = &env->puller.pulls;
    facts->upstreams = env->upstreams;
    facts->serve = env->serve;
    facts->fleet = exchange_gather_fleet(env, fleet) ? fleet : NULL;
    facts->optimizer = env->conf->optimizer.enabled ? &env->optimizer : NULL;
    const struct conf_program *ollama = env->upstreams ? conf_program(env->conf, "ollama") : NULL;
    facts->is_ollama_optional = ollama && !ollama->autostart;
    facts->observe = env->observe;
    facts->overseer = &env->overseer;
    (void)exchange_count_line(env, facts->line_n);
    facts->now_ms = loop_now_ms(env->loop);
    facts->uptime_ms = facts->now_ms - env->started_at_ms;
}
