/*
 * See status_narrow.h. Members are told by their names, so that what is added to these objects one day is not told by chance. Texts of reasons are
 * none of them, as they may be about any model.
 */
#include "proxy/observe/status_narrow.h"

#include "common/contract.h"
#include "common/json_read.h"

#define LENGTH(names) (sizeof (names) / sizeof *(names))

enum { MEMBERS_MAX = 13 };

/* `{` and these members, without the brace behind them. */
static void write_members(struct json_write *w, const struct json_value *object, const char *const *names, size_t names_n)
{
    struct json_value values[MEMBERS_MAX];
    json_read_object(object, names, names_n, JSON_EXACT, values);
    for (size_t i = 0; i < names_n; i++) {
        json_write_text(w, i ? ",\"" : "{\"");
        json_write_text(w, names[i]);
        json_write_text(w, "\":");
        json_write_value(w, &values[i]);
    }
}

/* An array's object, or nothing: how many were written. */
typedef size_t write_row_fn(struct json_write *w, const struct list *shown, const struct json_value *row, const char *before);

static void write_rows(struct json_write *w, const struct list *shown, const struct json_value *array, write_row_fn *write_row)
{
    struct json_items items;
    struct json_value row;
    size_t told_n = 0;
    json_write_text(w, "[");
    for (json_items_init(&items, array); json_items_next(&items, &row);)
        told_n += write_row(w, shown, &row, told_n ? "," : "");
    json_write_text(w, "]");
}

/* An engine, whole: all of it is about its model. */
static size_t write_instance(struct json_write *w, const struct list *shown, const struct json_value *row, const char *before)
{
    static const char *const names[] = {"model"};
    char model[CONTRACT_NAME_BYTES];
    struct json_value value;
    json_read_object(row, names, 1, JSON_EXACT, &value);
    ssize_t n = value.kind == JSON_STRING ? json_decode(json_read_text(&value), model, sizeof model) : -1;
    if (n < 0 || !conf_names_model(shown, model, (size_t)n))
        return 0;
    json_write_text(w, before);
    json_write_value(w, row);
    return 1;
}

static size_t write_program(struct json_write *w, const struct list *shown, const struct json_value *row, const char *before)
{
    static const char *const names[] = {"name",   "state",     "pid",           "uptime_s",  "restarts",      "required", "wanted",
                                        "rss_bytes", "cpu_ms", "processes", "next_start_ms", "last_exit", "last_exit_code"};
    _Static_assert(LENGTH(names) <= MEMBERS_MAX, "all of them are read at once");
    (void)shown;
    json_write_text(w, before);
    write_members(w, row, names, LENGTH(names));
    json_write_text(w, ",\"reason\":null,\"status\":null}");
    return 1;
}

void status_narrow_health(struct json_write *w, const struct list *shown, const char *json, size_t json_n)
{
    static const char *const names[] = {"status", "state", "version", "uptime_s", "requests"}, *const instances[] = {"instances"};
    const struct json_value all = {.kind = JSON_OBJECT, .at = json, .n = json_n};
    struct json_value engines;
    write_members(w, &all, names, LENGTH(names));
    json_read_object(&all, instances, 1, JSON_EXACT, &engines);
    if (engines.kind == JSON_ARRAY) { /* where it is not there, no models of a hub are served */
        json_write_text(w, ",\"instances\":");
        write_rows(w, shown, &engines, write_instance);
    }
    json_write_text(w, "}");
}

void status_narrow_supervisor(struct json_write *w, const struct list *shown, const char *json, size_t json_n)
{
    static const char *const names[] = {"ok", "version", "pid", "state", "uptime_s", "sleep", "listen", "backend", "memory", "boots"};
    static const char *const lists[] = {"programs", "instances"};
    const struct json_value all = {.kind = JSON_OBJECT, .at = json, .n = json_n};
    struct json_value arrays[2];
    _Static_assert(LENGTH(names) <= MEMBERS_MAX, "all of them are read at once");
    write_members(w, &all, names, LENGTH(names));
    json_read_object(&all, lists, 2, JSON_EXACT, arrays);
    json_write_text(w, ",\"programs\":");
    write_rows(w, shown, &arrays[0], write_program);
    json_write_text(w, ",\"instances\":");
    write_rows(w, shown, &arrays[1], write_instance);
    json_write_text(w, ",\"trouble\":null}");
}
