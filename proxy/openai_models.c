/* See openai_models.h. A name that nobody could have given to a model is that of none. */
#include "proxy/openai_models.h"

#include "common/parse.h"
#include "proxy/json_write.h"
#include "proxy/model_list.h"
#include "proxy/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 512, TIME_BYTES = 48, DAY_S = 86400 };

static const char prefix[] = "/v1/models/";

int openai_models_name(const char *path, size_t path_n, char *name, size_t name_n)
{
    size_t start_n = sizeof prefix - 1;
    if (path_n <= start_n || memcmp(path, prefix, start_n) != 0)
        return -EINVAL;
    return route_decode(path + start_n, path_n - start_n, name, name_n);
}

/* Days since 1970 of the Gregorian calendar; the year begins in March, so that the odd day is its last. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month > 2 ? year : year - 1, m = month > 2 ? month - 3 : month + 9;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

int64_t openai_models_time(const char *text)
{
    int year, month, day, hour, minute, second, end = 0, zone_hour = 0, zone_minute = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second, &end) != 6 || year < 1970 ||
        month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60)
        return 0;
    const char *zone = text + end;
    zone += *zone == '.' ? 1 + strspn(zone + 1, "0123456789") : 0;
    int64_t at_s = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
    if (strcmp(zone, "Z") != 0) {
        if ((*zone != '+' && *zone != '-') || sscanf(zone + 1, "%2d:%2d", &zone_hour, &zone_minute) != 2 || zone_hour < 0 || zone_minute < 0)
            return 0;
        int64_t zone_s = zone_hour * 3600 + zone_minute * 60;
        at_s += *zone == '-' ? zone_s : -zone_s;
    }
    return at_s > 0 ? at_s : 0;
}

/* Whose model it is: what stands before its own name, as in hf.co/OWNER/NAME; Ollama's own are the library's. */
static struct json_text owner_of(const char *name)
{
    const char *end = strrchr(name, '/'), *at = end;
    if (!end || end == name)
        return (struct json_text){"library", 7};
    while (at > name && at[-1] != '/')
        at--;
    return (struct json_text){at, (size_t)(end - at)};
}

static void write_model(struct json_write *w, const char *id, const char *name, const struct translate_model *model)
{
    struct json_text owner = model->owner ? (struct json_text){model->owner, strlen(model->owner)} : owner_of(name);
    json_write_text(w, "{\"id\":");
    json_write_string(w, id, strlen(id));
    json_write_text(w, ",\"object\":\"model\",\"created\":");
    json_write_number(w, (uint64_t)model->created_s);
    json_write_text(w, ",\"owned_by\":");
    json_write_string(w, owner.at, owner.n);
    json_write_text(w, "}");
}

/* What is looked through: Ollama's list, then those of others. */
struct models {
    const struct translate_models *rules; /* may be NULL */
    struct json_items items;
    size_t others_n;
    char name[NAME_BYTES];
};

static int next(struct models *m, struct translate_model *model)
{
    static const char *const names[] = {"name", "model", "modified_at"};
    struct json_value item, v[3];
    char modified_at[TIME_BYTES];
    *model = (struct translate_model){.name = m->name};
    while (json_items_next(&m->items, &item)) {
        json_read_object(&item, names, 3, JSON_EXACT, v);
        const struct json_value *name = v[0].kind == JSON_STRING ? &v[0] : &v[1];
        if (name->kind != JSON_STRING || json_decode(json_read_text(name), m->name, sizeof m->name) <= 0)
            continue;
        if (v[2].kind == JSON_STRING && json_decode(json_read_text(&v[2]), modified_at, sizeof modified_at) > 0)
            model->created_s = openai_models_time(modified_at);
        return 1;
    }
    return m->rules && m->rules->next && m->rules->next(m->rules->context, m->others_n++, model);
}

static int is_listed(const struct models *m, const char *name)
{
    return !m->rules || !m->rules->is_listed || m->rules->is_listed(m->rules->context, name);
}

int openai_models_write(const struct translation *t, const char *tags, size_t tags_n, struct buf *out)
{
    struct models m = {.rules = t->models};
    struct translate_model model;
    struct json_write w = json_write_begin(out);
    char wanted[NAME_BYTES];
    int is_one = openai_models_name(t->path.at, t->path.n, wanted, sizeof wanted) == 0, is_found = 0;
    if (model_list_begin(&m.items, tags, tags_n) == -EINVAL)
        return -EINVAL;
    json_write_text(&w, is_one ? "" : "{\"object\":\"list\",\"data\":[");
    while (!(is_one && is_found) && next(&m, &model)) {
        if (!is_listed(&m, model.name) || (is_one && !model_name_equal(model.name, strlen(model.name), wanted, strlen(wanted))))
            continue;
        json_write_text(&w, is_found ? "," : "");
        write_model(&w, is_one ? wanted : model.name, model.name, &model);
        is_found = 1;
    }
    json_write_text(&w, is_one ? "\n" : "]}\n");
    if (is_one && !is_found && !w.error)
        w.error = -ENOENT;
    return json_write_end(&w);
}

static int object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    return openai_models_write(t, json, json_n, out);
}

const struct translate_ops openai_models_ops = {.target = "/api/tags", .object = object};
