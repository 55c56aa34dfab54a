/*
 * See live.h. A miss counts only where no work got on since the one before: Ollama with every core at work on a long prompt
 * may be slow to answer, and to kill it then would lose just that work.
 */
#include "supervisor/live.h"

#include <stdio.h>
#include <string.h>

static void hung(struct live *l, const char *why)
{
    live_end(l);
    l->ops->hung(l->context, why);
}

void live_told(struct live *l, int is_good)
{
    uint64_t progress = l->ops->progress(l->context);
    int is_working = progress != l->progress_seen;
    l->progress_seen = progress;
    if (is_good || is_working) {
        l->misses_n = 0;
        return;
    }
    if (++l->misses_n < l->conf->live_misses)
        return;
    char why[PROBE_WHY_BYTES + 96];
    snprintf(why, sizeof why, "hung: %lld probes of its live URL failed in a row, the last: %s", (long long)l->misses_n,
             l->probe->why);
    hung(l, why);
}

static void watchdog_late(void *context, int64_t now_ms)
{
    struct live *l = context;
    char why[64];
    (void)now_ms;
    snprintf(why, sizeof why, "hung: no WATCHDOG=1 within %lld ms", (long long)l->conf->watchdog_ms);
    hung(l, why);
}

void live_init(struct live *l, struct loop *loop, struct probe *probe, const struct live_ops *ops, void *context)
{
    *l = (struct live){.loop = loop, .probe = probe, .ops = ops, .context = context};
    timer_init(&l->watchdog, watchdog_late, l);
}

const char *live_text_for(const char *path)
{
    /* Ollama's list of models is JSON with "models"; anything else on that port is not Ollama. */
    return strcmp(path, "/api/tags") == 0 ? "\"models\"" : NULL;
}

void live_begin(struct live *l, const struct conf_program *conf)
{
    struct address address;
    char path[PROBE_PATH_BYTES], why[PARSE_WHY_BYTES];
    live_end(l);
    l->conf = conf;
    l->misses_n = 0;
    l->progress_seen = l->ops->progress(l->context);
    if (strcmp(conf->live, "none") != 0 && parse_http_url(conf->live, &address, path, sizeof path, why) == 0)
        probe_watch(l->probe, &address, path, live_text_for(path), conf->live_interval_ms);
    live_ping(l);
}

void live_reconfigure(struct live *l, const struct conf_program *conf)
{
    const struct conf_program *old = l->conf;
    if (!old)
        return;
    if (strcmp(old->live, conf->live) == 0 && old->live_interval_ms == conf->live_interval_ms &&
        old->live_misses == conf->live_misses && old->watchdog_ms == conf->watchdog_ms)
        l->conf = conf;
    else
        live_begin(l, conf);
}

void live_end(struct live *l)
{
    probe_stop(l->probe);
    loop_disarm(l->loop, &l->watchdog);
    l->conf = NULL;
}

void live_ping(struct live *l)
{
    if (l->conf && l->conf->watchdog_ms > 0)
        loop_arm(l->loop, &l->watchdog, loop_now_ms(l->loop) + l->conf->watchdog_ms);
}

void live_resumed(struct live *l)
{
    if (l->conf)
        live_begin(l, l->conf); /* a question that is under way may have been frozen too */
}
