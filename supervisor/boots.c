/* See boots.h. */
#include "supervisor/boots.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const phase_names[] = {
    [BOOT_EXEC] = "exec", [BOOT_API] = "api", [BOOT_MODELS] = "models", [BOOT_LOAD] = "load", [BOOT_FIRST_TOKEN] = "first_token",
};
_Static_assert(sizeof phase_names / sizeof *phase_names == BOOT_PHASE_COUNT, "a name for each phase");

const char *boots_phase_name(enum boot_phase phase)
{
    return phase_names[phase];
}

static struct boot *current(struct boots *b)
{
    return &b->kept[(b->begun_n - 1) % BOOTS_KEPT];
}

static void begin(struct boots *b, const char *cause, int64_t now_ms)
{
    b->begun_n++;
    struct boot *boot = current(b);
    *boot = (struct boot){.cause = cause, .began_ms = now_ms};
    for (size_t i = 0; i < BOOT_PHASE_COUNT; i++)
        boot->after_ms[i] = BOOT_NOT_YET;
}

void boots_init(struct boots *b, int64_t began_ms)
{
    *b = (struct boots){.was = CONTRACT_DOWN};
    begin(b, "start", began_ms);
}

struct boot *boots_get(struct boots *b, unsigned age)
{
    return age < BOOTS_KEPT && age < b->begun_n ? &b->kept[(b->begun_n - 1 - age) % BOOTS_KEPT] : NULL;
}

static int has_come(struct boots *b, enum boot_phase phase)
{
    return current(b)->after_ms[phase] != BOOT_NOT_YET;
}

/* It had been ready, and what comes now is another start of it. */
static int is_another(struct boots *b, enum contract_state state, int is_for_good)
{
    int was_at_rest = b->was == CONTRACT_DOWN || b->was == CONTRACT_DONE || b->was == CONTRACT_FAILED;
    switch (state) {
    case CONTRACT_BACKOFF:
    case CONTRACT_STOPPING:
        return !is_for_good && has_come(b, BOOT_API);
    case CONTRACT_STARTING:
    case CONTRACT_READY:
        return (has_come(b, BOOT_API) && b->was != CONTRACT_READY) || (has_come(b, BOOT_EXEC) && was_at_rest);
    case CONTRACT_DOWN:
    case CONTRACT_DONE:
    case CONTRACT_FAILED:
    case CONTRACT_STATE_COUNT:
        break;
    }
    return 0;
}

int boots_follow(struct boots *b, enum contract_state state, const char *cause, int is_for_good, int64_t now_ms)
{
    int has_begun = is_another(b, state, is_for_good);
    if (has_begun)
        begin(b, cause, now_ms);
    int64_t after_ms = now_ms - current(b)->began_ms;
    if (state == CONTRACT_STARTING || (state == CONTRACT_READY && b->was != CONTRACT_STARTING))
        current(b)->after_ms[BOOT_EXEC] = after_ms; /* the last try is the one that counts */
    b->was = state;
    if (state == CONTRACT_READY)
        (void)!boots_note(b, BOOT_API, now_ms);
    return has_begun;
}

int boots_note(struct boots *b, enum boot_phase phase, int64_t at_ms)
{
    struct boot *boot = current(b);
    int64_t after_ms = at_ms - boot->began_ms;
    if (has_come(b, phase) || at_ms < boot->began_ms || (phase > BOOT_API && after_ms < boot->after_ms[BOOT_API]))
        return 0;
    boot->after_ms[phase] = after_ms;
    return 1;
}

void boots_text(const struct boot *boot, char out[BOOT_TEXT_BYTES])
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < BOOT_PHASE_COUNT; i++)
        if (boot->after_ms[i] != BOOT_NOT_YET && at < BOOT_TEXT_BYTES)
            at += (size_t)snprintf(out + at, BOOT_TEXT_BYTES - at, " %s_ms=%" PRId64, phase_names[i], boot->after_ms[i]);
}

static int write_boot(const struct boot *boot, int64_t now_ms, struct buf *out)
{
    int error = buf_printf(out, "{\"cause\":\"%s\",\"ago_s\":%" PRId64, boot->cause, (now_ms - boot->began_ms) / 1000);
    for (size_t i = 0; i < BOOT_PHASE_COUNT; i++) {
        error = error ? error : buf_printf(out, ",\"%s_ms\":", phase_names[i]);
        if (!error)
            error = boot->after_ms[i] == BOOT_NOT_YET ? buf_text(out, "null") : buf_printf(out, "%" PRId64, boot->after_ms[i]);
    }
    return error ? error : buf_text(out, "}");
}

int boots_write(const struct boots *b, int64_t now_ms, struct buf *out)
{
    unsigned kept_n = b->begun_n < BOOTS_KEPT ? b->begun_n : BOOTS_KEPT;
    int error = buf_text(out, "[");
    for (unsigned i = b->begun_n - kept_n; i < b->begun_n && !error; i++) {
        error = i > b->begun_n - kept_n ? buf_text(out, ",") : 0;
        error = error ? error : write_boot(&b->kept[i % BOOTS_KEPT], now_ms, out);
    }
    return error ? error : buf_text(out, "]");
}
