/*
 * A machine of Fly.io's, which FLY_APP_NAME tells (https://fly.io/docs/machines/runtime-environment): what is set, and can't work
 * there or costs what it should save. Warnings only, as such a platform changes sooner than we do.
 */
#include "common/conf_internal.h"

#include <stdio.h>
#include <string.h>

/* https://fly.io/docs/reference/configuration (kill_timeout), https://fly.io/docs/reference/suspend-resume */
enum { KILL_TIMEOUT_MOST_MS = 300 * 1000, SUSPEND_MOST_MB = 2048, MEMORY_MOST_MB = 1 << 30 };

static void check_idle(const struct conf *c, struct diag *d)
{
    const struct conf_head *at = (const struct conf_head *)&c->supervisor;
    const char *text = conf_env(c, "FLY_VM_MEMORY_MB");
    char why[PARSE_WHY_BYTES];
    int64_t memory_mb = 0;
    if (c->supervisor.idle_timeout_ms == 0)
        return;
    if (c->supervisor.idle_action == CONF_IDLE_STOP)
        conf_warning(c, at, "supervisor", "idle_action", d,
                     "on Fly.io the machine goes on running, and is paid for, when Ollama alone is stopped: exit stops it, suspend keeps its memory");
    if (c->supervisor.idle_action != CONF_IDLE_SUSPEND || !text || parse_integer(text, 0, MEMORY_MOST_MB, &memory_mb, why) < 0)
        return;
    if (memory_mb > SUSPEND_MOST_MB)
        conf_warning(c, at, "supervisor", "idle_action", d,
                     "this machine has more than 2048 MB (FLY_VM_MEMORY_MB), for which Fly.io advises against a suspend: it takes long; exit always works");
}

/* Fly's proxy, and the app's private network, which has IPv6 alone. */
static void check_listen(const struct conf *c, struct diag *d)
{
    int is_reached_by_v6 = 0, is_reached = 0;
    if (!conf_program(c, "proxy")->autostart)
        return;
    for (size_t i = 0; i < c->listen_n; i++) {
        const char *host = c->listen[i].host;
        is_reached |= !address_is_loopback(&c->listen[i]);
        is_reached_by_v6 |= *host == '\0' || (strchr(host, ':') && !address_is_loopback(&c->listen[i]));
    }
    if (!is_reached)
        conf_warning(c, (const struct conf_head *)&c->proxy, "proxy", "listen", d,
                     "on Fly.io nobody reaches this machine at a loopback address, APP.flycast neither: write [::]:PORT");
    else if (!is_reached_by_v6)
        conf_warning(c, (const struct conf_head *)&c->proxy, "proxy", "listen", d,
                     "on Fly.io APP.internal has IPv6 addresses alone, where nobody listens: write [::]:PORT, which is IPv4 too");
}

void conf_check_fly(const struct conf *c, struct diag *d)
{
    if (c->reader != CONF_READER_SUPERVISOR || !conf_env(c, "FLY_APP_NAME"))
        return;
    check_idle(c, d);
    check_listen(c, d);
    if (c->supervisor.shutdown_timeout_ms >= KILL_TIMEOUT_MOST_MS)
        conf_warning(c, (const struct conf_head *)&c->supervisor, "supervisor", "shutdown_timeout", d,
                     "Fly.io kills the machine after kill_timeout of fly.toml, which is 5m at the most: take less");
}
