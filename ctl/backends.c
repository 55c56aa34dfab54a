/*
 * See backends.h. Asks the proxy itself (call.h): GET /status, POST /sidecar/backends/NAME/drain and undrain. The reply is read leniently: what is missing or
 * of another type shows as "-".
 */
#include "ctl/backends.h"

#include "ctl/ask.h"
#include "ctl/call.h"
#include "ctl/plain.h"
#include "ctl/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STATE_COLUMN = 1, NAME_COLUMNS = 32, LOADED_COLUMNS = 40, LINE_COLUMNS = 120, CELL_BYTES = 512 };

static int write_queue(const cJSON *queue, struct buf *out)
{
    int64_t waiting_n = ask_number(queue, "waiting"), limit_n = ask_number(queue, "limit");
    int error = waiting_n == 0 ? buf_text(out, "nobody waits") : waiting_n > 0 ? buf_printf(out, "%" PRId64 " in line", waiting_n) : buf_text(out, "nobody knows who waits");
    error = error || limit_n < 0 ? error : buf_printf(out, ", %" PRId64 " may", limit_n);
    return error ? error : buf_text(out, "\n");
}

static int write_redis(const cJSON *redis, struct buf *out)
{
    const char *state = ask_text(redis, "state");
    int64_t replicas_n = ask_number(redis, "replicas");
    if (!*state)
        return 0;
    int error = buf_text(out, "redis ");
    error = error ? error : plain_text(out, state);
    error = error || replicas_n < 0 ? error : buf_printf(out, ", %" PRId64 " replica%s", replicas_n, replicas_n == 1 ? "" : "s");
    return error ? error : buf_text(out, "\n");
}

static void add_texts(struct table *t, const cJSON *list)
{
    char cell[CELL_BYTES] = "";
    size_t used_n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && used_n < sizeof cell)
            used_n += (size_t)snprintf(cell + used_n, sizeof cell - used_n, "%s%s", used_n ? ", " : "", item->valuestring);
    }
    table_add(t, cell);
}

static void add_backend(struct table *t, const cJSON *backend)
{
    char cell[CELL_BYTES] = "";
    int64_t used_n = ask_number(backend, "used"), slots_n = ask_number(backend, "slots"), models_n = ask_number(backend, "models_n");
    table_add(t, ask_text(backend, "name"));
    table_add(t, ask_text(backend, "state"));
    if (used_n >= 0 && slots_n >= 0)
        snprintf(cell, sizeof cell, "%" PRId64 " of %" PRId64, used_n, slots_n);
    table_add(t, cell);
    cell[0] = '\0';
    if (models_n >= 0)
        snprintf(cell, sizeof cell, "%" PRId64, models_n);
    table_add(t, cell);
    add_texts(t, cJSON_GetObjectItemCaseSensitive(backend, "loaded"));
    table_add(t, ask_text(backend, "url"));
    table_add(t, ask_text(backend, "error"));
}

static int write_backends(const cJSON *backends, int has_colours, struct buf *out)
{
    static const char *const heads[] = {"BACKEND", "STATE", "IN USE", "MODELS", "LOADED", "URL", "LAST FAILURE"};
    struct table t;
    const cJSON *item;
    table_init(&t, heads, sizeof heads / sizeof *heads);
    t.most[0] = NAME_COLUMNS;
    t.most[4] = LOADED_COLUMNS;
    t.width_n = LINE_COLUMNS;
    cJSON_ArrayForEach(item, backends)
        add_backend(&t, item);
    int error = table_write(&t, has_colours ? STATE_COLUMN : TABLE_NO_COLUMN, out);
    table_fini(&t);
    return error;
}

int backends_describe(const cJSON *status, int has_colours, struct buf *out)
{
    const cJSON *backends = cJSON_GetObjectItemCaseSensitive(status, "backends");
    int error = write_queue(cJSON_GetObjectItemCaseSensitive(status, "queue"), out);
    error = error ? error : write_redis(cJSON_GetObjectItemCaseSensitive(status, "redis"), out);
    if (error)
        return error;
    return cJSON_IsArray(backends) ? write_backends(backends, has_colours, out) : buf_text(out, "one Ollama: several are set up by [backend:NAME] with api = ollama\n");
}

int backends_run(const struct ctl *ctl)
{
    return call_show(ctl, "/status", backends_describe);
}

static int change(const struct ctl *ctl, const char *word)
{
    char path[CALL_PATH_BYTES], name[CELL_BYTES];
    const struct door_request request = {.method = "POST", .path = path};
    cJSON *answer;
    if (call_path("/sidecar/backends/", ctl->argument, word, path, sizeof path) < 0) {
        fputs("sidecarctl: that is no backend's name; sidecarctl backends lists them\n", stderr);
        return CTL_USAGE;
    }
    int code = call_ask(ctl, &request, 1, &answer);
    if (code == CTL_OK && !ctl->is_json) {
        plain_clean_to(name, sizeof name, ask_text(answer, "backend"));
        int is_drained = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(answer, "drained"));
        printf(is_drained ? "%s gets no new requests; those that it has go on\n" : "%s gets requests again\n", name);
    }
    cJSON_Delete(answer);
    return code;
}

int backends_drain(const struct ctl *ctl)
{
    return change(ctl, "/drain");
}

int backends_undrain(const struct ctl *ctl)
{
    return change(ctl, "/undrain");
}
