/*
 * See requests.h. GET /sidecar/requests and DELETE /sidecar/requests/ID of the proxy. The reply is read leniently: what is
 * missing or of another type shows as "-".
 */
#include "ctl/requests.h"

#include "common/human.h"
#include "ctl/ask.h"
#include "ctl/call.h"
#include "ctl/plain.h"
#include "ctl/table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STATE_COLUMN = 1, CELL_BYTES = 512, LINE_COLUMNS = 120, MODEL_COLUMNS = 32, CLIENT_COLUMNS = 24 };

static void add_time(struct table *t, const cJSON *object, const char *key)
{
    char cell[HUMAN_BYTES];
    human_time(cell, ask_number(object, key));
    table_add(t, cell);
}

static void add_number(struct table *t, const cJSON *object, const char *key)
{
    char cell[HUMAN_BYTES] = "";
    int64_t n = ask_number(object, key);
    if (n >= 0)
        snprintf(cell, sizeof cell, "%" PRId64, n);
    table_add(t, cell);
}

/* "streaming", or "queued 3": its place in line. */
static void add_phase(struct table *t, const cJSON *request)
{
    char cell[CELL_BYTES];
    int64_t place = ask_number(request, "place");
    const char *phase = ask_text(request, "phase");
    if (place > 0 && strcmp(phase, "queued") == 0)
        snprintf(cell, sizeof cell, "%s %" PRId64, phase, place);
    else
        snprintf(cell, sizeof cell, "%s", phase);
    table_add(t, cell);
}

static void add_live(struct table *t, const cJSON *request)
{
    const char *key = ask_text(request, "key");
    table_add(t, ask_text(request, "id"));
    add_phase(t, request);
    add_time(t, request, "phase_ms");
    add_time(t, request, "age_ms");
    add_number(t, request, "tokens");
    table_add(t, ask_text(request, "model"));
    table_add(t, *key ? key : ask_text(request, "client"));
    table_add(t, ask_text(request, "backend"));
    table_add(t, ask_text(request, "path"));
}

static int write_live(const cJSON *live, int has_colours, struct buf *out)
{
    static const char *const heads[] = {"ID", "PHASE", "FOR", "AGE", "TOKENS", "MODEL", "CLIENT", "BACKEND", "PATH"};
    struct table t;
    const cJSON *item;
    table_init(&t, heads, sizeof heads / sizeof *heads);
    t.most[5] = MODEL_COLUMNS;
    t.most[6] = CLIENT_COLUMNS;
    t.width_n = LINE_COLUMNS;
    cJSON_ArrayForEach(item, live)
    {
        add_live(&t, item);
    }
    int error = table_write(&t, has_colours ? STATE_COLUMN : TABLE_NO_COLUMN, out);
    table_fini(&t);
    return error;
}

static int write_count(const cJSON *requests, const char *key, const char *words, struct buf *out)
{
    int64_t n = ask_number(requests, key);
    return n < 0 ? buf_printf(out, "-%s", words) : buf_printf(out, "%" PRId64 "%s", n, words);
}

int requests_describe_live(const cJSON *requests, int has_colours, struct buf *out)
{
    const cJSON *live = cJSON_GetObjectItemCaseSensitive(requests, "live");
    int64_t more_n = ask_number(requests, "more");
    int error = write_count(requests, "in_flight", " in flight, ", out);
    error = error ? error : write_count(requests, "held", " held, ", out);
    error = error ? error : write_count(requests, "queued", " in line\n", out);
    error = error || cJSON_GetArraySize(live) == 0 ? error : write_live(live, has_colours, out);
    return error || more_n <= 0 ? error : buf_printf(out, "and %" PRId64 " more\n", more_n);
}

/* "12:30:05" of a time as RFC 3339 has it. */
static void add_clock(struct table *t, const cJSON *request)
{
    char cell[16] = "";
    const char *at = ask_text(request, "at");
    if (strlen(at) >= 19)
        snprintf(cell, sizeof cell, "%.8s", at + 11);
    table_add(t, cell);
}

static void add_recent(struct table *t, const cJSON *request)
{
    char cell[HUMAN_BYTES] = "";
    const cJSON *speed = cJSON_GetObjectItemCaseSensitive(request, "tokens_per_s");
    const char *error = ask_text(request, "error");
    add_clock(t, request);
    table_add(t, ask_text(request, "ended"));
    add_number(t, request, "status");
    table_add(t, ask_text(request, "id"));
    add_time(t, request, "total_ms");
    add_time(t, request, "first_token_ms");
    add_number(t, request, "tokens");
    if (cJSON_IsNumber(speed) && speed->valuedouble >= 0 && speed->valuedouble < 1e9)
        snprintf(cell, sizeof cell, "%.1f", speed->valuedouble);
    table_add(t, cell);
    table_add(t, ask_text(request, "model"));
    table_add(t, *error ? error : ask_text(request, "path"));
}

int requests_describe(const cJSON *answer, int has_colours, struct buf *out)
{
    static const char *const heads[] = {"AT", "ENDED", "STATUS", "ID", "TOTAL", "FIRST TOKEN", "TOKENS", "A SECOND", "MODEL", "PATH OR ERROR"};
    const cJSON *requests = cJSON_GetObjectItemCaseSensitive(answer, "requests"), *item;
    const cJSON *recent = cJSON_GetObjectItemCaseSensitive(requests, "recent");
    struct table t;
    int error = requests_describe_live(requests, has_colours, out);
    if (error || cJSON_GetArraySize(recent) == 0)
        return error;
    table_init(&t, heads, sizeof heads / sizeof *heads);
    t.most[8] = MODEL_COLUMNS;
    t.width_n = LINE_COLUMNS + CLIENT_COLUMNS;
    cJSON_ArrayForEach(item, recent)
    {
        add_recent(&t, item);
    }
    error = buf_text(out, "\n");
    error = error ? error : table_write(&t, has_colours ? STATE_COLUMN : TABLE_NO_COLUMN, out);
    table_fini(&t);
    return error;
}

int requests_run(const struct ctl *ctl)
{
    return call_show(ctl, "/sidecar/requests", requests_describe);
}

int requests_cancel(const struct ctl *ctl)
{
    char path[CALL_PATH_BYTES], id[CELL_BYTES];
    const struct door_request request = {.method = "DELETE", .path = path};
    cJSON *answer;
    if (strchr(ctl->argument, '/') || call_path("/sidecar/requests/", ctl->argument, "", path, sizeof path) < 0) {
        fputs("sidecarctl: that is no request's ID; sidecarctl requests lists them\n", stderr);
        return CTL_USAGE;
    }
    int code = call_ask(ctl, &request, 1, &answer);
    if (code == CTL_OK && !ctl->is_json) {
        plain_clean_to(id, sizeof id, ctl->argument);
        printf("%s is cancelled\n", id);
    }
    cJSON_Delete(answer);
    return code;
}
