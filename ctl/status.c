/*
 * The owner's first look: one line about the supervisor, one about the doors, a row for each program, and below them why one
 * is not up; the same for each model that an engine serves. The reply is read leniently: what is missing or of another type shows as "-", so that an older or newer
 * supervisor can be asked.
 *
 * Invariant: no line of the table and of the reasons is longer than LINE_COLUMNS.
 */
#include "ctl/status.h"

#include "ctl/ask.h"
#include "ctl/call.h"
#include "common/human.h"
#include "ctl/plain.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STATE_COLUMN = 1, CELL_BYTES = 512, LINE_COLUMNS = 100, NAME_COLUMNS = 16, MODEL_STATE_COLUMN = 2, MODEL_COLUMNS = 32,
       ENGINE_COLUMNS = 12, INDENT = 2 };

/* Any scalar as a cell. */
static void cell_text(const cJSON *object, const char *key, char out[CELL_BYTES])
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (cJSON_IsString(item))
        snprintf(out, CELL_BYTES, "%s", item->valuestring);
    else if (cJSON_IsNumber(item))
        snprintf(out, CELL_BYTES, "%.0f", item->valuedouble);
    else if (cJSON_IsBool(item))
        snprintf(out, CELL_BYTES, "%s", cJSON_IsTrue(item) ? "yes" : "no");
    else
        out[0] = '\0';
}

static int write_head(const cJSON *answer, struct buf *out)
{
    char up[HUMAN_BYTES], pid[CELL_BYTES];
    const char *version = ask_text(answer, "version"), *state = ask_text(answer, "state");
    human_duration(up, ask_number(answer, "uptime_s"));
    cell_text(answer, "pid", pid);
    int error = buf_text(out, "supervisor ");
    error = error ? error : plain_text(out, version);
    error = error ? error : buf_text(out, *version ? ", " : "");
    error = error ? error : plain_text(out, *state ? state : "state unknown");
    error = error ? error : buf_text(out, ", pid ");
    error = error ? error : plain_text(out, *pid ? pid : "-");
    return error ? error : buf_printf(out, ", up %s\n", up);
}

/* "ollama asleep for 5m"; nothing where it is awake. "sleeps when idle for 10m (twice idle_timeout, as it was woken soon); awake
 * 3h, asleep 20h, woken 12 times, 13 cold starts"; nothing where it never sleeps. */
static int write_sleep(const cJSON *answer, struct buf *out)
{
    const cJSON *sleep = cJSON_GetObjectItemCaseSensitive(answer, "sleep");
    const char *state = ask_text(sleep, "state");
    char duration[HUMAN_BYTES], idle[HUMAN_BYTES], awake[HUMAN_BYTES], asleep[HUMAN_BYTES];
    int64_t doubled_n = ask_number(sleep, "doubled"), wakes_n = ask_number(sleep, "wakes"), starts_n = ask_number(sleep, "cold_starts");
    int error = 0;
    if (*state && strcmp(state, "awake") != 0) {
        human_duration(duration, ask_number(sleep, "for_s"));
        error = buf_text(out, "ollama ");
        error = error ? error : plain_text(out, state);
        error = error ? error : buf_printf(out, " for %s\n", duration);
    }
    const cJSON *timeout = cJSON_GetObjectItemCaseSensitive(sleep, "idle_timeout_s");
    if (!cJSON_IsNumber(timeout) || !(timeout->valuedouble > 0) || timeout->valuedouble > 9e12 || error)
        return error;
    human_time(idle, (int64_t)(timeout->valuedouble * 1000));
    human_duration(awake, ask_number(sleep, "awake_s"));
    human_duration(asleep, ask_number(sleep, "asleep_s"));
    error = buf_printf(out, "sleeps when idle for %s", idle);
    if (doubled_n > 0)
        error = error ? error : buf_printf(out, " (%s idle_timeout, as it was woken soon)", doubled_n == 1 ? "twice" : doubled_n == 2 ? "four times" : "eight times");
    return error ? error
                 : buf_printf(out, "; awake %s, asleep %s, woken %" PRId64 " time%s, %" PRId64 " cold start%s\n", awake, asleep,
                              wakes_n < 0 ? 0 : wakes_n, wakes_n == 1 ? "" : "s", starts_n < 0 ? 0 : starts_n, starts_n == 1 ? "" : "s");
}

static int write_doors(const cJSON *answer, struct buf *out)
{
    const cJSON *listen = cJSON_GetObjectItemCaseSensitive(answer, "listen"), *item;
    const char *backend = ask_text(answer, "backend");
    const char *separator = "listening on ";
    int error = 0, has_any = 0;
    cJSON_ArrayForEach(item, listen)
    {
        if (!cJSON_IsString(item))
            continue;
        error = error ? error : buf_text(out, separator);
        error = error ? error : plain_text(out, item->valuestring);
        separator = ", ";
        has_any = 1;
    }
    if (*backend) {
        error = error ? error : buf_text(out, has_any ? ", backend " : "backend ");
        error = error ? error : plain_text(out, backend);
        has_any = 1;
    }
    return error ? error : buf_text(out, has_any ? "\n" : "");
}

/* "memory 1.2 GiB of 2.0 GiB (cgroup2), peak 1.9 GiB, 2 processes killed for want of it"; nothing where it is not told. */
static int write_memory(const cJSON *answer, struct buf *out)
{
    const cJSON *memory = cJSON_GetObjectItemCaseSensitive(answer, "memory");
    char used[HUMAN_BYTES], limit[HUMAN_BYTES], peak[HUMAN_BYTES];
    int64_t peak_bytes = ask_number(memory, "peak_bytes"), kills_n = ask_number(memory, "oom_kills");
    const char *source = ask_text(memory, "source");
    if (!cJSON_IsObject(memory))
        return 0;
    human_bytes(used, ask_number(memory, "used_bytes"));
    human_bytes(limit, ask_number(memory, "limit_bytes"));
    human_bytes(peak, peak_bytes);
    int error = buf_printf(out, "memory %s of %s (", used, limit);
    error = error ? error : plain_text(out, *source ? source : "-");
    error = error ? error : buf_printf(out, ")%s%s", peak_bytes >= 0 ? ", peak " : "", peak_bytes >= 0 ? peak : "");
    if (kills_n > 0)
        error = error ? error : buf_printf(out, ", %" PRId64 " process%s killed for want of it", kills_n, kills_n == 1 ? "" : "es");
    return error ? error : buf_text(out, "\n");
}

static void add_pid_and_up(struct table *t, const cJSON *program)
{
    char cell[HUMAN_BYTES];
    int64_t pid = ask_number(program, "pid");
    snprintf(cell, sizeof cell, "%" PRId64, pid);
    table_add(t, pid > 0 ? cell : "");
    human_duration(cell, pid > 0 ? ask_number(program, "uptime_s") : -1);
    table_add(t, cell);
    human_bytes(cell, ask_number(program, "rss_bytes"));
    table_add(t, cell);
    human_time(cell, ask_number(program, "cpu_ms"));
    table_add(t, cell);
}

static void add_program(struct table *t, const cJSON *program)
{
    char cell[CELL_BYTES];
    cell_text(program, "name", cell);
    table_add(t, cell);
    cell_text(program, "state", cell);
    table_add(t, cell);
    add_pid_and_up(t, program);
    static const char *const rest[] = {"restarts", "required", "last_exit"};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
        cell_text(program, rest[i], cell);
        table_add(t, cell);
    }
}

/* Appends words of clean text, and a line end where the next one would not fit. *column: where the line is. */
static int write_words(struct buf *out, const char *text, size_t *column)
{
    int error = 0;
    while (*text && !error) {
        char word[CELL_BYTES];
        size_t n = strcspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        size_t width_n = plain_width(word);
        if (*column > INDENT && *column + 1 + width_n > LINE_COLUMNS) {
            error = buf_printf(out, "\n%*s", INDENT, "");
            *column = INDENT;
        } else if (*column > 0) {
            error = buf_text(out, " ");
            *column += 1;
        }
        error = error ? error : buf_text(out, word);
        *column += width_n;
        text += n + strspn(text + n, " ");
    }
    return error;
}

/* `NAME: reason; starts again in 2.4s`; nothing where there is nothing to say. key: of its name. */
static int write_reason(const cJSON *program, const char *key, struct buf *out)
{
    char text[CELL_BYTES], clean[CELL_BYTES], wait[HUMAN_BYTES];
    size_t column = 0;
    int64_t wait_ms = ask_number(program, "next_start_ms");
    const char *reason = ask_text(program, "reason");
    if (!*reason && wait_ms < 0)
        return 0;
    human_time(wait, wait_ms);
    snprintf(text, sizeof text, "%.128s: %.300s%s%s%s", ask_text(program, key), reason, *reason && wait_ms >= 0 ? "; " : "",
             wait_ms >= 0 ? "starts again in " : "", wait_ms >= 0 ? wait : "");
    plain_clean_to(clean, sizeof clean, text);
    int error = write_words(out, clean, &column);
    return error ? error : buf_text(out, "\n");
}

/* Of engines that serve a model each; nothing where there are none. */
static int write_instances(const cJSON *answer, int has_colours, struct buf *out)
{
    static const char *const keys[] = {"model", "engine", "state", "port"};
    static const char *const heads[] = {"MODEL", "ENGINE", "STATE", "PORT", "PID", "UP", "MEMORY", "CPU", "LOAD"};
    const cJSON *instances = cJSON_GetObjectItemCaseSensitive(answer, "instances"), *item;
    char cell[CELL_BYTES];
    struct table t;
    if (!cJSON_IsArray(instances) || cJSON_GetArraySize(instances) == 0)
        return 0;
    table_init(&t, heads, sizeof heads / sizeof *heads);
    t.most[0] = MODEL_COLUMNS;
    t.most[1] = ENGINE_COLUMNS;
    t.width_n = LINE_COLUMNS;
    cJSON_ArrayForEach(item, instances)
    {
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            cell_text(item, keys[i], cell);
            table_add(&t, cell);
        }
        add_pid_and_up(&t, item);
        human_time(cell, ask_number(item, "load_ms"));
        table_add(&t, cell);
    }
    int error = buf_text(out, "\n");
    error = error ? error : table_write(&t, has_colours ? MODEL_STATE_COLUMN : TABLE_NO_COLUMN, out);
    table_fini(&t);
    cJSON_ArrayForEach(item, instances)
    {
        error = error ? error : write_reason(item, "model", out);
    }
    return error;
}

/* "last boot (start): exec 4ms, api 180ms, models 185ms, load 1.2s, first token 1.3s": since it began, what is known. */
static int write_boot(const cJSON *answer, struct buf *out)
{
    static const char *const keys[] = {"exec_ms", "api_ms", "models_ms", "load_ms", "first_token_ms"};
    static const char *const words[] = {"exec", "api", "models", "load", "first token"};
    const cJSON *boots = cJSON_GetObjectItemCaseSensitive(answer, "boots");
    const cJSON *boot = cJSON_IsArray(boots) ? cJSON_GetArrayItem(boots, cJSON_GetArraySize(boots) - 1) : NULL;
    const char *separator = "";
    int error = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int64_t after_ms = ask_number(boot, keys[i]);
        if (after_ms < 0)
            continue;
        if (!*separator) {
            error = buf_text(out, "last boot (");
            error = error ? error : plain_text(out, ask_text(boot, "cause"));
            error = error ? error : buf_text(out, "): ");
        }
        error = error ? error : buf_printf(out, after_ms < 10000 ? "%s%s %" PRId64 "ms" : "%s%s %" PRId64 "s", separator, words[i],
                                           after_ms < 10000 ? after_ms : after_ms / 1000);
        separator = ", ";
    }
    return error ? error : buf_text(out, *separator ? "\n" : "");
}

/* "last trouble, 12s ago: ollama has ended: exit code 2": what answers broke of. */
static int write_trouble(const cJSON *answer, struct buf *out)
{
    const cJSON *trouble = cJSON_GetObjectItemCaseSensitive(answer, "trouble");
    char text[CELL_BYTES], clean[CELL_BYTES], ago[HUMAN_BYTES];
    size_t column = 0;
    if (!*ask_text(trouble, "text"))
        return 0;
    human_duration(ago, ask_number(trouble, "ago_s"));
    snprintf(text, sizeof text, "last trouble, %s ago: %.300s", ago, ask_text(trouble, "text"));
    plain_clean_to(clean, sizeof clean, text);
    int error = write_words(out, clean, &column);
    return error ? error : buf_text(out, "\n");
}

int status_describe(const cJSON *answer, int has_colours, struct buf *out)
{
    static const char *const heads[] = {"PROGRAM", "STATE", "PID", "UP", "MEMORY", "CPU", "RESTARTS", "REQUIRED", "LAST EXIT"};
    const cJSON *programs = cJSON_GetObjectItemCaseSensitive(answer, "programs"), *item;
    struct table t;
    table_init(&t, heads, sizeof heads / sizeof *heads);
    t.most[0] = NAME_COLUMNS;
    t.width_n = LINE_COLUMNS;
    cJSON_ArrayForEach(item, programs)
    {
        add_program(&t, item);
    }
    int error = write_head(answer, out);
    error = error ? error : write_sleep(answer, out);
    error = error ? error : write_doors(answer, out);
    error = error ? error : write_memory(answer, out);
    error = error ? error : write_boot(answer, out);
    error = error ? error : buf_text(out, "\n");
    error = error ? error : table_write(&t, has_colours ? STATE_COLUMN : TABLE_NO_COLUMN, out);
    table_fini(&t);
    cJSON_ArrayForEach(item, programs)
    {
        error = error ? error : write_reason(item, "name", out);
    }
    error = error ? error : write_instances(answer, has_colours, out);
    return error ? error : write_trouble(answer, out);
}

int status_run(const struct ctl *ctl)
{
    cJSON *answer;
    struct buf text;
    int code = ask_run(ctl, "status", 1, &answer);
    if (code != CTL_OK || ctl->is_json) {
        cJSON_Delete(answer);
        return code;
    }
    buf_init(&text, 0);
    int error = status_describe(answer, ctl->has_colours, &text);
    cJSON_Delete(answer);
    return call_print(&text, error);
}
