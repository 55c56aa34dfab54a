/*
 * See bench.h. Streams answers of POST /api/generate, one after the other, through the proxy, as a client does. Each prompt is another one from its first
 * word on, so that no cache answers, neither Ollama's of a prompt's beginning nor the optimizer's. Warm: the model is loaded, by a
 * request that does not count. Cold, where it is asked for: the model was unloaded, and Ollama says that it is.
 */
#include "ctl/bench.h"

#include "common/human.h"
#include "common/text.h"
#include "ctl/ask.h"
#include "ctl/call.h"
#include "ctl/models.h"
#include "ctl/plain.h"
#include "ctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 3, TOKENS = 64, LINE_LIMIT_BYTES = 1 << 20, PROMPT_BYTES = 512, NAME_BYTES = 512, UNLOAD_MS = 30 * 1000, LOOK_MS = 100 };

static const struct bench_round unknown = {-1, -1, -1, -1, -1, -1, -1};

/* Tokens a second of a count and nanoseconds. */
static double speed(const cJSON *line, const char *count, const char *duration)
{
    int64_t n = ask_number(line, count), ns = ask_number(line, duration);
    return n > 0 && ns > 0 ? (double)n * 1e9 / (double)ns : -1;
}

int bench_take(struct bench_round *round, const char *text, size_t text_n, int64_t asked_at_ms, int64_t at_ms)
{
    cJSON *line = cJSON_ParseWithLength(text, text_n);
    int is_line = cJSON_IsObject(line) && !cJSON_HasObjectItem(line, "error");
    int is_last = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "done"));
    int has_token = *ask_text(line, "response") || *ask_text(line, "thinking");
    if (is_line && has_token && round->first_token_ms < 0)
        round->first_token_ms = at_ms - asked_at_ms;
    if (is_line && is_last) {
        int64_t load_ns = ask_number(line, "load_duration");
        round->total_ms = at_ms - asked_at_ms;
        round->load_ms = load_ns < 0 ? -1 : load_ns / 1000000;
        round->tokens_n = ask_number(line, "eval_count");
        round->prompt_n = ask_number(line, "prompt_eval_count");
        round->tokens_per_s = speed(line, "eval_count", "eval_duration");
        round->prompt_per_s = speed(line, "prompt_eval_count", "prompt_eval_duration");
    }
    cJSON_Delete(line);
    return !is_line ? -EINVAL : is_last;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the values that are known; -1 where none is. */
static double median(double *values, size_t n)
{
    size_t known_n = 0;
    for (size_t i = 0; i < n; i++)
        if (values[i] >= 0)
            values[known_n++] = values[i];
    if (known_n == 0)
        return -1;
    qsort(values, known_n, sizeof *values, compare);
    return (values[(known_n - 1) / 2] + values[known_n / 2]) / 2;
}

struct bench_round bench_median(const struct bench_round *rounds, size_t rounds_n)
{
    double columns[7][BENCH_ROUNDS_MAX] = {{0}};
    for (size_t i = 0; i < rounds_n && i < BENCH_ROUNDS_MAX; i++) {
        const struct bench_round *r = &rounds[i];
        const double row[7] = {(double)r->first_token_ms, (double)r->total_ms, (double)r->load_ms, (double)r->tokens_n, (double)r->prompt_n,
                               r->tokens_per_s, r->prompt_per_s};
        for (size_t j = 0; j < 7; j++)
            columns[j][i] = row[j];
    }
    double m[7];
    for (size_t j = 0; j < 7; j++)
        m[j] = median(columns[j], rounds_n);
    return (struct bench_round){(int64_t)m[0], (int64_t)m[1], (int64_t)m[2], (int64_t)m[3], (int64_t)m[4], m[5], m[6]};
}

struct bench {
    const struct ctl *ctl;
    char model[NAME_BYTES];
    size_t rounds_n, asked_n;
    struct bench_round cold, warm[BENCH_ROUNDS_MAX];
};

/* An answer that comes. */
struct hearing {
    struct bench_round *round;
    const struct door_answer *answer;
    struct buf line;
    int end; /* of bench_take() */
    char error[NAME_BYTES];
};

static void take_line(struct hearing *h, const char *line, size_t n)
{
    h->end = bench_take(h->round, line, n, h->answer->asked_at_ms, sys_monotonic_ms());
    if (h->end >= 0)
        return;
    cJSON *object = cJSON_ParseWithLength(line, n);
    plain_clean_to(h->error, sizeof h->error, call_error(object));
    cJSON_Delete(object);
}

static int take(void *context, const char *bytes, size_t bytes_n)
{
    struct hearing *h = context;
    const char *end;
    if (buf_append(&h->line, bytes, bytes_n) < 0)
        return -1;
    while (h->end == 0 && (end = memchr(buf_data(&h->line), '\n', buf_size(&h->line)))) {
        size_t n = (size_t)(end - buf_data(&h->line));
        if (!text_is_blank(buf_data(&h->line), n))
            take_line(h, buf_data(&h->line), n);
        buf_consume(&h->line, n + 1);
    }
    return 0; /* behind an error nothing comes that is worth to be read */
}

/* One request; why it failed is told. */
static int ask(struct bench *b, struct bench_round *round, const char *more)
{
    struct door_answer a = {.status = 0};
    struct hearing h = {.round = round, .answer = &a};
    struct buf body;
    int code = CTL_NOBODY;
    *round = unknown;
    buf_init(&body, 0);
    buf_init(&a.body, 0);
    buf_init(&h.line, LINE_LIMIT_BYTES);
    if (models_body(b->model, more, &body) == 0) {
        const struct door_request request = {.method = "POST", .path = "/api/generate", .body = buf_data(&body), .take = take, .context = &h, .is_patient = 1};
        code = door_ask(b->ctl, &request, &a);
    }
    if (code == CTL_OK && h.end == 0 && buf_size(&h.line) > 0) /* the answer to an unload is a line without an end */
        take_line(&h, buf_data(&h.line), buf_size(&h.line));
    if (code == CTL_OK && a.status != 200) {
        code = call_refuse(b->ctl, &a);
    } else if (code == CTL_OK && h.end <= 0) {
        fprintf(stderr, "sidecarctl: %s\n", h.error[0] ? h.error : "the answer ended before it was whole");
        code = CTL_REFUSED;
    }
    if (code == CTL_OK && a.load_ms > 0) /* before the request that Ollama has measured */
        round->load_ms = a.load_ms + (round->load_ms > 0 ? round->load_ms : 0);
    buf_fini(&h.line);
    buf_fini(&body);
    door_answer_fini(&a);
    return code;
}

static int ask_prompt(struct bench *b, struct bench_round *round)
{
    char more[PROMPT_BYTES];
    snprintf(more, sizeof more, ",\"stream\":true,\"options\":{\"num_predict\":%d,\"temperature\":0},\"prompt\":\"%" PRId64 ".%zu: Tell a long story about a "
             "lighthouse keeper who measures how fast the ships pass by, and writes down what he has seen.\"", TOKENS, sys_realtime_ms(), b->asked_n++);
    return ask(b, round, more);
}

static int has_model(const cJSON *models, const char *name)
{
    const cJSON *item;
    size_t name_n = strlen(name);
    cJSON_ArrayForEach(item, models)
    {
        const char *other = ask_text(item, "name");
        if (strncmp(other, name, name_n) == 0 && (!other[name_n] || strcmp(other + name_n, ":latest") == 0))
            return 1;
    }
    return 0;
}

/* Has it unloaded, and waits until nobody lists it as loaded. */
static int unload(struct bench *b)
{
    const struct door_request loaded = {.method = "GET", .path = "/api/ps"};
    struct bench_round nothing;
    int64_t deadline_ms = sys_monotonic_ms() + UNLOAD_MS;
    int code = ask(b, &nothing, ",\"keep_alive\":0");
    for (int is_loaded = 1; is_loaded && code == CTL_OK;) {
        cJSON *answer;
        code = call_ask(b->ctl, &loaded, 0, &answer);
        is_loaded = has_model(cJSON_GetObjectItemCaseSensitive(answer, "models"), b->model);
        cJSON_Delete(answer);
        if (is_loaded && sys_monotonic_ms() > deadline_ms) {
            fputs("sidecarctl: the model stays in memory: others use it\n", stderr);
            code = CTL_REFUSED;
        }
        if (is_loaded && code == CTL_OK)
            (void)!sys_poll(NULL, 0, LOOK_MS);
    }
    return code;
}

/* The first name in a list of models; "": there is none. */
static int first_of(struct bench *b, const char *path)
{
    const struct door_request request = {.method = "GET", .path = path};
    cJSON *answer;
    int code = call_ask(b->ctl, &request, 0, &answer);
    snprintf(b->model, sizeof b->model, "%s", ask_text(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(answer, "models"), 0), "name"));
    cJSON_Delete(answer);
    return code;
}

/* Which one: as it was asked; else the one that is loaded, else the first on the disk. */
static int choose(struct bench *b)
{
    if (b->ctl->argument) {
        snprintf(b->model, sizeof b->model, "%s", b->ctl->argument);
        return CTL_OK;
    }
    int code = first_of(b, "/api/ps");
    if (code == CTL_OK && !b->model[0])
        code = first_of(b, "/api/tags");
    if (code != CTL_OK || b->model[0])
        return code;
    fputs("sidecarctl: there is no model to be measured: sidecarctl pull MODEL brings one\n", stderr);
    return CTL_REFUSED;
}

static int measure(struct bench *b)
{
    struct bench_round first;
    int code = b->ctl->is_cold_asked ? unload(b) : CTL_OK;
    if (code == CTL_OK)
        code = ask_prompt(b, &first);
    if (code == CTL_OK && b->ctl->is_cold_asked)
        b->cold = first;
    for (size_t i = 0; i < b->rounds_n && code == CTL_OK; i++)
        code = ask_prompt(b, &b->warm[i]);
    return code;
}

static int write_speed(struct buf *out, const char *key, double value)
{
    return value < 0 ? buf_printf(out, ",\"%s\":null", key) : buf_printf(out, ",\"%s\":%.2f", key, value);
}

static int write_object(struct buf *out, const struct bench_round *r)
{
    const struct {
        const char *key;
        int64_t n;
    } rows[] = {{"first_token_ms", r->first_token_ms}, {"total_ms", r->total_ms}, {"load_ms", r->load_ms}, {"tokens", r->tokens_n}, {"prompt_tokens", r->prompt_n}};
    int error = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !error; i++)
        error = rows[i].n < 0 ? buf_printf(out, "%s\"%s\":null", i ? "," : "{", rows[i].key) : buf_printf(out, "%s\"%s\":%" PRId64, i ? "," : "{", rows[i].key, rows[i].n);
    error = error ? error : write_speed(out, "tokens_per_s", r->tokens_per_s);
    error = error ? error : write_speed(out, "prompt_tokens_per_s", r->prompt_per_s);
    return error ? error : buf_text(out, "}");
}

/* {"model","cold":ROUND or null,"warm":ROUND of medians,"rounds":[ROUND]} */
static int write_json(const struct bench *b, const struct bench_round *warm, struct buf *out)
{
    int error = buf_text(out, "{\"model\":");
    error = error ? error : buf_json_string(out, b->model, strlen(b->model));
    error = error ? error : buf_text(out, ",\"cold\":");
    error = error ? error : b->ctl->is_cold_asked ? write_object(out, &b->cold) : buf_text(out, "null");
    error = error ? error : buf_text(out, ",\"warm\":");
    error = error ? error : write_object(out, warm);
    for (size_t i = 0; i < b->rounds_n && !error; i++) {
        error = buf_text(out, i ? "," : ",\"rounds\":[");
        error = error ? error : write_object(out, &b->warm[i]);
    }
    return error ? error : buf_text(out, "]}\n");
}

static void add_row(struct table *t, const char *name, const struct bench_round *r)
{
    const int64_t times[] = {r->first_token_ms, r->load_ms, r->total_ms};
    const double speeds[] = {r->tokens_per_s, r->prompt_per_s};
    char cell[HUMAN_BYTES];
    table_add(t, name);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        if (times[i] >= 0 && times[i] < 10000)
            snprintf(cell, sizeof cell, "%d ms", (int)times[i]);
        else
            human_time(cell, times[i]);
        table_add(t, cell);
    }
    for (size_t i = 0; i < sizeof speeds / sizeof *speeds; i++) {
        snprintf(cell, sizeof cell, speeds[i] < 0 ? "" : "%.1f", speeds[i]);
        table_add(t, cell);
    }
}

static int write_table(const struct bench *b, const struct bench_round *warm, struct buf *out)
{
    static const char *const heads[] = {"ANSWER", "FIRST TOKEN", "LOAD", "ALL", "TOKENS/S", "PROMPT TOKENS/S"};
    char name[32];
    struct table t;
    int error = plain_text(out, b->model);
    error = error ? error : buf_printf(out, ", answers of at most %d tokens\n", TOKENS);
    table_init(&t, heads, sizeof heads / sizeof *heads);
    if (b->ctl->is_cold_asked)
        add_row(&t, "cold", &b->cold);
    for (size_t i = 0; i < b->rounds_n; i++) {
        snprintf(name, sizeof name, "warm %zu", i + 1);
        add_row(&t, name, &b->warm[i]);
    }
    add_row(&t, "warm, median", warm);
    error = error ? error : table_write(&t, TABLE_NO_COLUMN, out);
    table_fini(&t);
    return error;
}

int bench_run(const struct ctl *ctl)
{
    struct bench b = {.ctl = ctl, .cold = unknown};
    struct buf text;
    int64_t rounds_n = ROUNDS;
    int code = call_number(ctl, "rounds", BENCH_ROUNDS_MAX, &rounds_n);
    b.rounds_n = (size_t)rounds_n;
    code = code == CTL_OK ? choose(&b) : code;
    code = code == CTL_OK ? measure(&b) : code;
    if (code != CTL_OK)
        return code;
    struct bench_round warm = bench_median(b.warm, b.rounds_n);
    buf_init(&text, 0);
    int error = ctl->is_json ? write_json(&b, &warm, &text) : write_table(&b, &warm, &text);
    return call_print(&text, error);
}
