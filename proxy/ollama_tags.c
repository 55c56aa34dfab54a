/* See ollama_tags.h. */
#include "proxy/ollama_tags.h"

#include "common/hash.h"
#include "proxy/model_list.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

static const uint64_t year_10000_s = UINT64_C(253402300800);

/* The first year is Go's time of nothing, which Ollama's command shows as never. */
static void write_time(struct json_write *w, uint64_t created_s)
{
    char text[40] = "0001-01-01T00:00:00Z";
    time_t at = created_s < year_10000_s ? (time_t)created_s : 0;
    struct tm tm;
    if (at > 0 && gmtime_r(&at, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_write_text(w, "\"modified_at\":\"");
    json_write_text(w, text);
    json_write_text(w, "\"");
}

static void write_digest(struct json_write *w, const struct upstream_model *m)
{
    uint64_t hash = hash_bytes(hash_bytes(HASH_START, m->name, strlen(m->name)), m->owner, strlen(m->owner));
    json_write_text(w, ",\"size\":");
    json_write_number(w, m->size_bytes);
    json_write_text(w, ",\"digest\":\"");
    for (int i = 0; i < 4; i++, hash = hash_add(hash, 0)) {
        char text[17];
        snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
        json_write_text(w, text);
    }
    json_write_text(w, "\"");
}

static void write_details(struct json_write *w, const struct upstream_model *m)
{
    const char *format = m->format ? m->format : "", *family = m->family ? m->family : m->owner;
    json_write_text(w, ",\"details\":{\"parent_model\":\"\",\"format\":");
    json_write_string(w, format, strlen(format));
    json_write_text(w, ",\"family\":");
    json_write_string(w, family, strlen(family));
    json_write_text(w, ",\"families\":null,\"parameter_size\":\"\",\"quantization_level\":\"\"}");
}

/* What an entry of either list begins with. */
static void write_entry(struct json_write *w, const struct upstream_model *m, int has_time)
{
    json_write_text(w, "{\"name\":");
    json_write_string(w, m->name, strlen(m->name));
    json_write_text(w, ",\"model\":");
    json_write_string(w, m->name, strlen(m->name));
    if (has_time) {
        json_write_text(w, ",");
        write_time(w, m->created_s);
    }
    write_digest(w, m);
    write_details(w, m);
}

/* For ever is what Ollama calls so: 292 years from 2025 on. */
void ollama_tags_write_loaded(struct json_write *w, const struct upstream_model *m, int64_t expires_s)
{
    char text[40] = "2317-10-08T00:00:00Z";
    time_t at = (time_t)expires_s;
    struct tm tm;
    if (expires_s >= 0 && gmtime_r(&at, &tm))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
    write_entry(w, m, 0);
    json_write_text(w, ",\"expires_at\":\"");
    json_write_text(w, text);
    json_write_text(w, "\",\"size_vram\":0}");
}

int ollama_tags_write(const char *tags, size_t tags_n, int (*next)(void *context, struct upstream_model *out), void *context, struct buf *out)
{
    struct json_value models, item;
    struct json_items items;
    struct upstream_model model;
    struct json_write w = json_write_begin(out);
    if (model_list_find(tags, tags_n, &models) < 0)
        return -EINVAL;
    json_items_init(&items, &models);
    int is_first = !json_items_next(&items, &item);
    const char *place = models.at + models.n - 1;
    json_write_bytes(&w, tags, (size_t)(place - tags));
    for (; next(context, &model); is_first = 0) {
        json_write_text(&w, is_first ? "" : ",");
        write_entry(&w, &model, 1);
        json_write_text(&w, "}");
    }
    json_write_bytes(&w, place, (size_t)(tags + tags_n - place));
    return json_write_end(&w);
}

/* Ollama's command insists on these members of model_info where it is there at all, and ends in a panic without. What such a model can do
 * nobody says: that it calls tools is believed, as clients that are told otherwise would not try. */
int ollama_tags_show(const struct upstream_model *m, struct buf *out)
{
    struct json_write w = json_write_begin(out);
    json_write_text(&w, "{\"license\":\"\",\"modelfile\":\"\",\"parameters\":\"\",\"template\":\"\"");
    write_details(&w, m);
    if (m->context_n > 0) {
        json_write_text(&w, ",\"model_info\":{\"general.architecture\":\"openai\",\"general.parameter_count\":0,\"openai.embedding_length\":0,\"openai.context_length\":");
        json_write_number(&w, m->context_n);
        json_write_text(&w, "}");
    }
    json_write_text(&w, m->is_raw ? ",\"capabilities\":[\"completion\"]," : ",\"capabilities\":[\"completion\",\"tools\"],");
    write_time(&w, m->created_s);
    json_write_text(&w, "}");
    return json_write_end(&w);
}
