/* See status.h. */
#include "supervisor/status.h"

#include "supervisor/diary.h"
#include "supervisor/instances/instances.h"

#include <string.h>

#ifndef SIDECAR_VERSION
#define SIDECAR_VERSION "unknown"
#endif

static int write_text(struct buf *out, const char *key, const char *text)
{
    int error = buf_printf(out, ",\"%s\":", key);
    return error ? error : buf_json_string(out, text, strlen(text));
}

/* Numbers that nobody knows, or that have no meaning now, are null. */
static int write_numbers(const struct supervisor *s, const struct child *c, const struct usage *u, struct buf *out)
{
    const struct program *p = &c->program;
    struct usage_sum sum = usage_of(u, p->pid);
    int error = sum.processes_n ? buf_printf(out, ",\"rss_bytes\":%lld,\"cpu_ms\":%lld,\"processes\":%u",
                                             (long long)sum.rss_bytes, (long long)sum.cpu_ms, sum.processes_n)
                                : buf_text(out, ",\"rss_bytes\":null,\"cpu_ms\":null,\"processes\":null");
    int64_t wait_ms = c->timer.at_ms - loop_now_ms(&s->loop);
    if (error || p->state != CONTRACT_BACKOFF || !timer_is_armed(&c->timer))
        return error ? error : buf_text(out, ",\"next_start_ms\":null");
    return buf_printf(out, ",\"next_start_ms\":%lld", (long long)(wait_ms > 0 ? wait_ms : 0));
}

static int write_program(const struct supervisor *s, const struct child *c, const struct usage *u, struct buf *out)
{
    const struct program *p = &c->program;
    int64_t up_ms = program_is_alive(p) ? loop_now_ms(&s->loop) - p->spawned_at_ms : 0;
    char last_exit[64];
    program_last_exit(p, last_exit, sizeof last_exit);
    int error = buf_text(out, "{\"name\":");
    error = error ? error : buf_json_string(out, p->conf->name, strlen(p->conf->name));
    error = error ? error : buf_printf(out, ",\"state\":\"%s\",\"pid\":%d,\"uptime_s\":%lld,\"restarts\":%u,\"required\":%s,\"wanted\":%s",
                                       contract_state_name(p->state), (int)p->pid, (long long)(up_ms / 1000),
                                       p->restarts_n, p->conf->required ? "true" : "false", p->is_wanted ? "true" : "false");
    error = error ? error : write_numbers(s, c, u, out);
    error = error ? error : write_text(out, "last_exit", last_exit);
    int code = program_last_code(p);
    error = error ? error : code >= 0 ? buf_printf(out, ",\"last_exit_code\":%d", code) : buf_text(out, ",\"last_exit_code\":null");
    const char *why = p->reason[0] || p->state != CONTRACT_STARTING ? p->reason : c->probe.why;
    error = error ? error : write_text(out, "reason", why);
    error = error ? error : write_text(out, "status", c->status);
    return error ? error : buf_text(out, "}");
}

static const char *overall(const struct supervisor *s)
{
    return s->is_stopping ? "stopping" : s->is_announced ? "running" : "starting";
}

/* Whether Ollama sleeps alone; and what is kept of all sleeps. */
static int write_sleep(const struct supervisor *s, struct buf *out)
{
    static const char *const names[] = {[CONTRACT_AWAKE] = "awake", [CONTRACT_ASLEEP] = "asleep", [CONTRACT_WAKING] = "waking"};
    uint32_t sleep = state_sleep(s);
    struct slept sum;
    diary_sum(s, &sum);
    int error = buf_printf(out,
                      ",\"sleep\":{\"state\":\"%s\",\"for_s\":%lld,\"idle_timeout_s\":%.3f,\"doubled\":%u,\"awake_s\":%lld,\"asleep_s\":%lld,"
                      "\"cold_starts\":%lld,\"wakes\":%lld,\"parts\":{",
                      sleep < sizeof names / sizeof *names ? names[sleep] : "awake",
                      (long long)((loop_now_ms(&s->loop) - s->sleep_since_ms) / 1000), (double)diary_timeout_ms(s) / 1000, sum.cooldown,
                      (long long)(sum.awake_ms / 1000), (long long)(sum.asleep_ms / 1000), (long long)sum.cold_starts_n, (long long)sum.wakes_n);
    for (int i = 0; i < BOOT_PHASE_COUNT && !error; i++)
        error = buf_printf(out, "%s\"%s\":{\"n\":%lld,\"ms\":%lld}", i ? "," : "", boots_phase_name((enum boot_phase)i), (long long)sum.parts[i].n,
                           (long long)sum.parts[i].ms);
    return error ? error : buf_text(out, "}}");
}

/* What went wrong last with Ollama; null: nothing so far. */
static int write_trouble(const struct supervisor *s, struct buf *out)
{
    const struct contract_trouble *trouble = &s->board.page->trouble;
    char text[CONTRACT_REASON_BYTES];
    contract_trouble_read(trouble, 1, text);
    if (!*text)
        return buf_text(out, ",\"trouble\":null");
    int64_t ago_ms = loop_monotonic_ms(&s->loop) - atomic_load(&trouble->at_ms);
    int error = buf_printf(out, ",\"trouble\":{\"ago_s\":%lld", (long long)(ago_ms / 1000));
    error = error ? error : write_text(out, "text", text);
    return error ? error : buf_text(out, "}");
}

int status_write(const struct supervisor *s, struct buf *out)
{
    char address[ADDRESS_TEXT_BYTES];
    int error = buf_printf(out, "{\"ok\":true,\"version\":\"%s\",\"pid\":%d,\"state\":\"%s\",\"uptime_s\":%lld",
                           SIDECAR_VERSION, (int)sys_getpid(), overall(s),
                           (long long)((loop_now_ms(&s->loop) - s->started_at_ms) / 1000));
    error = error ? error : write_sleep(s, out);
    error = error ? error : buf_text(out, ",\"listen\":[");
    for (size_t i = 0; i < s->conf->listen_n && !error; i++) {
        address_text(&s->conf->listen[i], address);
        error = buf_printf(out, "%s\"%s\"", i ? "," : "", address);
    }
    address_text(&s->conf->backend, address);
    error = error ? error : buf_printf(out, "],\"backend\":\"%s\",\"memory\":", s->conf->is_fleet || s->conf->is_alone ? "" : address); /* of several: GET /status */
    error = error ? error : memory_write(&s->memory, out);
    error = error ? error : buf_text(out, ",\"programs\":[");
    struct usage usage;
    (void)!usage_read(&usage); /* without /proc the rest is told all the same */
    for (size_t i = 0; i < s->children_n && !error; i++) {
        if (child_is_vacant(&s->children[i]))
            continue;
        if (i)
            error = buf_text(out, ",");
        error = error ? error : write_program(s, &s->children[i], &usage, out);
    }
    error = error ? error : buf_text(out, "],\"instances\":");
    error = error ? error : instances_write(s, &usage, out);
    usage_fini(&usage);
    error = error ? error : buf_text(out, ",\"boots\":");
    error = error ? error : boots_write(&s->boots, loop_monotonic_ms(&s->loop), out);
    error = error ? error : write_trouble(s, out);
    return error ? error : buf_text(out, "}");
}
