/* See ollama_embed.h. Sources: ollama docs/api.md, "Generate Embeddings"; the API reference of /v1/embeddings. */
#include "proxy/ollama_embed.h"

#include "proxy/base64.h"
#include "proxy/ollama_turn.h"
#include "proxy/openai_ask.h"

#include <errno.h>
#include <stdlib.h>

enum { MODEL, INPUT, DIMENSIONS, EMBED_N };
static const char *const names[] = {"model", "input", "dimensions"}, *const names_of_one[] = {"model", "prompt", "dimensions"};

static void check_texts(struct openai_ask *a, const struct json_value *input)
{
    struct json_items items;
    struct json_value item;
    json_items_init(&items, input);
    while (!mistakes_are_many(&a->mistakes) && json_items_next(&items, &item))
        if (item.kind != JSON_STRING)
            mistakes_add(&a->mistakes, "input[%zu]: must be a string, not %s", items.read_n - 1, json_kind_name(item.kind));
}

/* Where there is no text there is nothing to ask for, and Ollama says so: an empty answer. */
static int request(struct translation *t, struct json_text body, int is_one, struct buf *out, char *why)
{
    struct json_value v[EMBED_N];
    struct openai_ask a;
    unsigned kinds = OPENAI_KIND(JSON_STRING) | (is_one ? 0 : OPENAI_KIND(JSON_ARRAY));
    if (openai_ask_read(&a, t, body, is_one ? names_of_one : names, EMBED_N, v, out, why) < 0)
        return -EINVAL;
    if (!ollama_turn_of(t))
        return -ENOMEM;
    t->turn->asked_ms = t->now_ms;
    int is_there = openai_is_a(&a, &v[INPUT], kinds, is_one ? "prompt" : "input", is_one ? "a string" : "a string, or an array of strings");
    check_texts(&a, &v[INPUT]);
    if ((!is_there || v[INPUT].n == 2) && a.mistakes.found_n == 0) {
        openai_ask_model(&a);
        buf_truncate(out, a.w.start_n);
        json_write_text(&a.w, is_one ? "{\"embedding\":[]" : "{\"model\":");
        if (!is_one) {
            json_write_value(&a.w, &v[MODEL]);
            json_write_text(&a.w, ",\"embeddings\":[]");
        }
        int error = openai_ask_end(&a);
        return error ? error : 1;
    }
    openai_ask_model(&a);
    json_write_member(&a.w, "input", &v[INPUT]);
    if (openai_is_a(&a, &v[DIMENSIONS], OPENAI_KIND(JSON_NUMBER), "dimensions", "a whole number"))
        json_write_member(&a.w, "dimensions", &v[DIMENSIONS]);
    json_write_text(&a.w, ",\"encoding_format\":\"float\"");
    return openai_ask_end(&a);
}

static int embed_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    return request(t, (struct json_text){json, json_n}, 0, out, why);
}

static int one_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    return request(t, (struct json_text){json, json_n}, 1, out, why);
}

/* Floats of four bytes, the lowest first, as some servers answer whatever they were asked for. 0 or -EINVAL. */
static int write_numbers(struct json_write *w, struct json_text text)
{
    struct base64_decoder decoder = {0};
    unsigned char bytes[BASE64_BYTES(64)];
    size_t kept_n = 0, written_n = 0;
    unsigned char kept[4];
    json_write_text(w, "[");
    for (size_t i = 0; i < text.n; i += 64) {
        size_t bytes_n = 0;
        if (base64_decode(&decoder, text.at + i, text.n - i < 64 ? text.n - i : 64, bytes, &bytes_n) != BASE64_FINE)
            return -EINVAL;
        for (size_t k = 0; k < bytes_n; k++) {
            kept[kept_n++] = bytes[k];
            if (kept_n < sizeof kept)
                continue;
            uint32_t bits = kept[0] | (uint32_t)kept[1] << 8 | (uint32_t)kept[2] << 16 | (uint32_t)kept[3] << 24;
            float value;
            memcpy(&value, &bits, sizeof value);
            if (value != value || value - value != 0) /* JSON has no such number */
                return -EINVAL;
            if (!w->error)
                w->error = buf_printf(w->out, written_n++ ? ",%.9g" : "%.9g", (double)value);
            kept_n = 0;
        }
    }
    json_write_text(w, "]");
    return kept_n == 0 && base64_decode_end(&decoder) == BASE64_FINE ? 0 : -EINVAL;
}

static int write_embedding(struct json_write *w, const struct json_value *value)
{
    if (value->kind == JSON_STRING) { /* a slash may be escaped */
        struct buf text;
        const char *at = "";
        buf_init(&text, 0);
        struct json_write decoded = json_write_begin(&text);
        ssize_t n = json_write_decoded(&decoded, json_read_text(value), &at);
        int error = n < 0 ? -EINVAL : write_numbers(w, (struct json_text){at, (size_t)n});
        buf_fini(&text);
        return error;
    }
    if (value->kind != JSON_ARRAY)
        return -EINVAL;
    json_write_safely(w, value);
    return 0;
}

enum { INDEX, EMBEDDING, ITEM_N };
static const char *const item_names[] = {"index", "embedding"};

/* Where each item is to stand: by its index, or as it comes. 0; -EINVAL where one place is named twice, or is beyond; -ENOMEM. */
static int order(const struct json_value *data, struct json_value **out, size_t *out_n)
{
    struct json_items items;
    struct json_value item, v[ITEM_N], *all = NULL;
    size_t all_n = 0;
    for (json_items_init(&items, data); json_items_next(&items, &item);)
        all_n++;
    all = all_n ? calloc(all_n, sizeof *all) : NULL;
    if (all_n && !all)
        return -ENOMEM;
    for (json_items_init(&items, data); json_items_next(&items, &item);) {
        json_read_object(&item, item_names, ITEM_N, JSON_EXACT, v);
        uint64_t place = v[INDEX].kind == JSON_NUMBER ? json_read_count(&v[INDEX]) : items.read_n - 1;
        if (place >= all_n || all[place].at) {
            free(all);
            return -EINVAL;
        }
        all[place] = v[EMBEDDING].at ? v[EMBEDDING] : item;
    }
    *out = all;
    *out_n = all_n;
    return 0;
}

static int write_all(struct json_write *w, const struct json_value *data, int is_one)
{
    struct json_value *all = NULL;
    size_t all_n = 0;
    int error = order(data, &all, &all_n);
    if (!error && is_one)
        error = all_n ? write_embedding(w, &all[0]) : -EINVAL;
    for (size_t i = 0; !error && !is_one && i < all_n; i++) {
        json_write_text(w, i ? "," : "");
        error = write_embedding(w, &all[i]);
    }
    free(all);
    return error;
}

static int object(struct translation *t, struct json_text answer, int is_one, struct buf *out)
{
    static const char *const object_names[] = {"data", "usage"}, *const usage_names[] = {"prompt_tokens"};
    struct json_value v[2], tokens;
    struct json_walk walk = {answer.at, answer.at + answer.n};
    struct json_write w = json_write_begin(out);
    if (json_read_members(&walk, object_names, 2, JSON_EXACT, v) < 0 || v[0].kind != JSON_ARRAY)
        return -EINVAL;
    json_write_text(&w, "{");
    if (!is_one) {
        json_write_text(&w, "\"model\":");
        json_write_string(&w, t->model ? t->model : "", t->model ? strlen(t->model) : 0);
        json_write_text(&w, ",");
    }
    json_write_text(&w, is_one ? "\"embedding\":" : "\"embeddings\":[");
    int error = write_all(&w, &v[0], is_one);
    w.error = error ? error : w.error;
    json_read_object(&v[1], usage_names, 1, JSON_EXACT, &tokens);
    if (!is_one) {
        int64_t passed_ms = t->turn && t->now_ms > t->turn->asked_ms ? t->now_ms - t->turn->asked_ms : 0;
        json_write_text(&w, "],\"total_duration\":");
        json_write_number(&w, (uint64_t)passed_ms * 1000000);
        json_write_text(&w, ",\"load_duration\":0,\"prompt_eval_count\":");
        json_write_number(&w, json_read_count(&tokens));
    }
    json_write_text(&w, "}");
    return json_write_end(&w);
}

static int embed_object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    return object(t, (struct json_text){json, json_n}, 0, out);
}

static int one_object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    return object(t, (struct json_text){json, json_n}, 1, out);
}

#define SAME .target = "/v1/embeddings", .fini = ollama_turn_fini, .is_openai = 1
const struct translate_ops ollama_embed_ops = {.request = embed_request, .object = embed_object, SAME};
const struct translate_ops ollama_embed_one_ops = {.request = one_request, .object = one_object, SAME};
