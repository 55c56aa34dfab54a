/*
 * See backends.h. Asks the proxy itself (door.h): GET /status, POST /sidecar/backends/NAME/drain and undrain. The reply is read leniently: what is missing or
 * of another type shows as "-".
 */
#include "ctl/backends.h"

#include "ctl/ask.h"
#include "ctl/door.h"
#include "ctl/plain.h"
#include "ctl/table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { STATE_COLUMN = 1, NAME_COLUMNS = 32, LOADED_COLUMNS = 40, LINE_COLUMNS = 120, CELL_BYTES = 512, PATH_BYTES = 1000 };

/* A whole number, or -1. */
static long long number(const cJSON *object, const char *key)
{
    double value = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return value >= 0 && value <= 9e15 ? (long long)value : -1;
}

static int write_queue(const cJSON *queue, struct buf *out)
{
    long long waiting_n = number(queue, "waiting"), limit_n = number(queue, "limit");
    int error = waiting_n == 0 ? buf_text(out, "nobody waits") : waiting_n > 0 ? buf_printf(out, "%lld in line", waiting_n) : buf_text(out, "nobody knows who waits");
    error = error || limit_n < 0 ? error : buf_printf(out, ", %lld may", limit_n);
    return error ? error : buf_text(out, "\n");
}

static int write_redis(const cJSON *redis, struct buf *out)
{
    const char *state = ask_text(redis, "state");
    long long replicas_n = number(redis, "replicas");
    if (!*state)
        return 0;
    int error = buf_text(out, "redis ");
    error = error ? error : plain_clean(out, state, strlen(state), 0);
    error = error || replicas_n < 0 ? error : buf_printf(out, ", %lld replica%s", replicas_n, replicas_n == 1 ? "" : "s");
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
    long long used_n = number(backend, "used"), slots_n = number(backend, "slots"), models_n = number(backend, "models_n");
    table_add(t, ask_text(backend, "name"));
    table_add(t, ask_text(backend, "state"));
    if (used_n >= 0 && slots_n >= 0)
        snprintf(cell, sizeof cell, "%lld of %lld", used_n, slots_n);
    table_add(t, cell);
    cell[0] = '\0';
    if (models_n >= 0)
        snprintf(cell, sizeof cell, "%lld", models_n);
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
    table_init(&t, sizeof heads / sizeof *heads);
    t.most[0] = NAME_COLUMNS;
    t.most[4] = LOADED_COLUMNS;
    t.width_n = LINE_COLUMNS;
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        table_add(&t, heads[i]);
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

/* The reason of an answer that is a refusal, on stderr. */
static int refuse(const struct door_answer *a, const cJSON *object)
{
    char text[CELL_BYTES];
    plain_clean_to(text, sizeof text, ask_text(object, "error"));
    if (text[0])
        fprintf(stderr, "sidecarctl: %s\n", text);
    else
        fprintf(stderr, "sidecarctl: the proxy answered with status %ld\n", a->status);
    return CTL_REFUSED;
}

static int print(const char *bytes, size_t n)
{
    fwrite(bytes, 1, n, stdout);
    return CTL_OK;
}

static int print_status(const struct ctl *ctl, const cJSON *object)
{
    struct buf text;
    int code = CTL_REFUSED;
    buf_init(&text, 0);
    if (backends_describe(object, ctl->has_colours, &text) == 0)
        code = print(buf_data(&text), buf_size(&text));
    buf_fini(&text);
    return code;
}

/* Asks; print_good is for an answer that is 200. */
static int ask(const struct ctl *ctl, const char *method, const char *path, int (*print_good)(const struct ctl *ctl, const cJSON *object))
{
    struct door_answer a;
    int code = door_ask(ctl, method, path, &a);
    if (code == CTL_OK) {
        cJSON *object = cJSON_ParseWithLength(buf_data(&a.body), buf_size(&a.body));
        if (ctl->is_json)
            (void)print(buf_data(&a.body), buf_size(&a.body));
        if (a.status != 200)
            code = ctl->is_json ? CTL_REFUSED : refuse(&a, object);
        else if (!ctl->is_json)
            code = print_good(ctl, object);
        cJSON_Delete(object);
    }
    door_answer_fini(&a);
    return code;
}

int backends_run(const struct ctl *ctl)
{
    return ask(ctl, "GET", "/status", print_status);
}

int backends_path(const char *name, const char *word, char *out, size_t out_n)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,=:@/";
    size_t used_n = (size_t)snprintf(out, out_n, "/sidecar/backends/");
    for (; *name && used_n < out_n; name++)
        used_n += (size_t)snprintf(out + used_n, out_n - used_n, strchr(plain, *name) ? "%c" : "%%%02X", (unsigned char)*name);
    if (used_n < out_n)
        used_n += (size_t)snprintf(out + used_n, out_n - used_n, "/%s", word);
    if (used_n >= out_n)
        return -E2BIG;
    return strstr(out, "//") || strstr(out, "/./") || strstr(out, "/../") ? -EINVAL : 0; /* it would be another path */
}

static int print_drained(const struct ctl *ctl, const cJSON *object)
{
    char name[CELL_BYTES];
    int is_drained = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "drained"));
    (void)ctl;
    plain_clean_to(name, sizeof name, ask_text(object, "backend"));
    printf(is_drained ? "%s gets no new requests; those that it has go on\n" : "%s gets requests again\n", name);
    return CTL_OK;
}

static int change(const struct ctl *ctl, const char *word)
{
    char path[PATH_BYTES];
    if (!*ctl->argument || backends_path(ctl->argument, word, path, sizeof path) < 0) {
        fputs("sidecarctl: that is no backend's name; sidecarctl backends lists them\n", stderr);
        return CTL_USAGE;
    }
    return ask(ctl, "POST", path, print_drained);
}

int backends_drain(const struct ctl *ctl)
{
    return change(ctl, "drain");
}

int backends_undrain(const struct ctl *ctl)
{
    return change(ctl, "undrain");
}
