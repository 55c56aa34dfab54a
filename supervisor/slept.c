/* See slept.h. A file in state_dir may be anybody's: each number has its bounds, and one that is not as it should be makes all of
 * it be nothing. */
#include "supervisor/slept.h"

#include "common/conf.h"
#include "common/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const int64_t number_most = INT64_C(1000000000000000); /* 30 million years of seconds */

static const char *const how_names[] = {
    [SLEPT_AWAKE] = "awake", [SLEPT_EXIT] = "exit", [SLEPT_STOP] = "stop", [SLEPT_SUSPEND] = "suspend",
};
_Static_assert(sizeof how_names / sizeof *how_names == SLEPT_HOW_COUNT, "a word for each");

const char *slept_how_name(enum slept_how how)
{
    return how_names[how];
}

static int read_how(const char *value, enum slept_how *how)
{
    for (int i = 0; i < SLEPT_HOW_COUNT; i++) {
        if (strcmp(value, how_names[i]) == 0) {
            *how = (enum slept_how)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* NAME_n or NAME_ms of a phase; NULL. Versions before this one had none. */
static int64_t *part_of(struct slept *s, const char *name)
{
    for (int i = 0; i < BOOT_PHASE_COUNT; i++) {
        const char *phase = boots_phase_name((enum boot_phase)i);
        size_t n = strlen(phase);
        if (strncmp(name, phase, n) == 0 && name[n] == '_')
            return strcmp(name + n, "_n") == 0 ? &s->parts[i].n : strcmp(name + n, "_ms") == 0 ? &s->parts[i].ms : NULL;
    }
    return NULL;
}

/* One line; a name that is not known is a later version's. 1 where it is one of those that must be there. */
static int read_line(struct slept *s, const char *name, const char *value)
{
    const struct {
        const char *name;
        int64_t *to, unit;
    } numbers[] = {{"awake_s", &s->awake_ms, 1000},
                   {"asleep_s", &s->asleep_ms, 1000},
                   {"cold_starts", &s->cold_starts_n, 1},
                   {"wakes", &s->wakes_n, 1},
                   {"since_ms", &s->since_realtime_ms, 1}};
    char why[PARSE_WHY_BYTES];
    int64_t number;
    if (strcmp(name, "how") == 0)
        return read_how(value, &s->how) ? -EINVAL : 1;
    if (strcmp(name, "cooldown") == 0) {
        if (parse_integer(value, 0, SLEPT_COOLDOWN_MOST, &number, why) < 0)
            return -EINVAL;
        s->cooldown = (unsigned)number;
        return 1;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        if (parse_integer(value, 0, number_most, &number, why) < 0)
            return -EINVAL;
        *numbers[i].to = number * numbers[i].unit;
        return 1;
    }
    int64_t *part = part_of(s, name);
    return part && parse_integer(value, 0, number_most, part, why) < 0 ? -EINVAL : 0;
}

int slept_read(struct slept *out, const char *text, size_t text_n)
{
    enum { LINES_N = 7 };
    char copy[SLEPT_BYTES];
    struct slept s = {.how = SLEPT_AWAKE};
    int known_n = 0;
    *out = s;
    if (text_n >= sizeof copy || memchr(text, '\0', text_n))
        return -EINVAL;
    memcpy(copy, text, text_n);
    copy[text_n] = '\0';
    for (char *line = copy, *end; *line; line = end + 1) {
        char *value = strchr(line, '=');
        end = strchr(line, '\n');
        if (!end || !value || value > end) /* cut off: an end that was never written */
            return -EINVAL;
        *end = *value = '\0';
        int known = read_line(&s, line, value + 1);
        if (known < 0)
            return known;
        known_n += known;
    }
    if (known_n != LINES_N)
        return -EINVAL;
    *out = s;
    return 0;
}

size_t slept_write(const struct slept *s, char out[SLEPT_BYTES])
{
    size_t at = (size_t)snprintf(out, SLEPT_BYTES,
                                 "awake_s=%" PRId64 "\nasleep_s=%" PRId64 "\ncold_starts=%" PRId64 "\nwakes=%" PRId64
                                 "\ncooldown=%u\nhow=%s\nsince_ms=%" PRId64 "\n",
                                 s->awake_ms / 1000, s->asleep_ms / 1000, s->cold_starts_n, s->wakes_n, s->cooldown, how_names[s->how],
                                 s->since_realtime_ms);
    for (int i = 0; i < BOOT_PHASE_COUNT; i++) {
        const char *phase = boots_phase_name((enum boot_phase)i);
        at += (size_t)snprintf(out + at, SLEPT_BYTES - at, "%s_n=%" PRId64 "\n%s_ms=%" PRId64 "\n", phase, s->parts[i].n, phase, s->parts[i].ms);
    }
    return at;
}

int64_t slept_duration_ms(enum slept_how how, int64_t boottime_ms, int64_t realtime_ms)
{
    int64_t most_ms = 10 * CONF_YEAR_MS;
    int is_calendar_good = realtime_ms >= 0 && realtime_ms <= most_ms;
    switch (how) {
    case SLEPT_EXIT:
        return is_calendar_good ? realtime_ms : -1;
    case SLEPT_SUSPEND:
        return is_calendar_good && realtime_ms > boottime_ms ? realtime_ms : boottime_ms;
    case SLEPT_STOP:
        return boottime_ms;
    case SLEPT_AWAKE:
    case SLEPT_HOW_COUNT:
        break;
    }
    return -1;
}

static int64_t sum_of(int64_t a_ms, int64_t b_ms)
{
    int64_t most_ms = number_most * 1000;
    return b_ms < 0 ? a_ms : b_ms < most_ms - a_ms ? a_ms + b_ms : most_ms;
}

void slept_begin(struct slept *s, enum slept_how how, int64_t awake_ms, int64_t realtime_ms)
{
    s->awake_ms = sum_of(s->awake_ms, awake_ms);
    s->how = how;
    s->since_realtime_ms = realtime_ms > 0 ? realtime_ms : 0;
}

void slept_end(struct slept *s, int64_t asleep_ms, int64_t idle_timeout_ms)
{
    s->asleep_ms = sum_of(s->asleep_ms, asleep_ms);
    s->wakes_n = sum_of(s->wakes_n, 1);
    s->how = SLEPT_AWAKE;
    if (asleep_ms >= idle_timeout_ms)
        s->cooldown = 0;
    else if (asleep_ms >= 0 && s->cooldown < SLEPT_COOLDOWN_MOST)
        s->cooldown++;
}

void slept_add_boot(struct slept *s, const struct boot *boot)
{
    for (int i = 0; i < BOOT_PHASE_COUNT; i++) {
        if (boot->after_ms[i] == BOOT_NOT_YET || s->parts[i].n == number_most || boot->after_ms[i] > number_most - s->parts[i].ms)
            continue;
        s->parts[i].n++;
        s->parts[i].ms += boot->after_ms[i];
    }
}

int64_t slept_timeout_ms(const struct slept *s, int64_t idle_timeout_ms)
{
    return idle_timeout_ms << s->cooldown; /* idle_timeout is a year at the most */
}
