/*
 * See openai_embed.h. Source: https://platform.openai.com/docs/api-reference/embeddings; ollama/openai/openai.go.
 *
 * OpenAI's clients ask for base64 where nobody told them otherwise, and one of them (for Node) takes whatever comes for that: an
 * Ollama that answers numbers all the same gives it wrong ones.
 */
#include "proxy/openai_embed.h"

#include "proxy/base64.h"
#include "proxy/openai_ask.h"

#include <errno.h>
#include <stdlib.h>

enum { INPUT = OPENAI_ASK_N, DIMENSIONS, ENCODING_FORMAT, EMBED_N };
static const char *const names[] = {OPENAI_ASK_NAMES, "input", "dimensions", "encoding_format"};

enum { MODEL, EMBEDDINGS, PROMPT_EVAL_COUNT, OBJECT_N };
static const char *const object_names[] = {"model", "embeddings", "prompt_eval_count"};

static void write_input(struct openai_ask *a)
{
    const struct json_value *input = &a->values[INPUT];
    struct json_items items;
    struct json_value item;
    if (!openai_is_there(input))
        mistakes_add(&a->mistakes, "input: missing; it must be a string, or an array of strings");
    else if (!openai_is_a(a, input, OPENAI_KIND(JSON_STRING) | OPENAI_KIND(JSON_ARRAY), "input", "a string, or an array of strings"))
        return;
    json_items_init(&items, input);
    while (json_items_next(&items, &item)) {
        if (item.kind == JSON_STRING)
            continue;
        mistakes_add(&a->mistakes, "input[%zu]: must be a string; tokens are not taken", items.read_n - 1);
        break; /* most likely they are all alike */
    }
    if (input->kind == JSON_ARRAY && items.read_n == 0)
        mistakes_add(&a->mistakes, "input: empty; at least one text is needed");
    json_write_text(&a->w, ",\"input\":");
    if (input->kind == JSON_STRING && input->n == 2) /* an empty text alone is no request at Ollama */
        json_write_text(&a->w, "[\"\"]");
    else
        json_write_value(&a->w, input);
}

static void read_encoding(struct openai_ask *a)
{
    const struct json_value *format = &a->values[ENCODING_FORMAT];
    a->t->is_base64 = json_read_is(format, "base64");
    if (openai_is_there(format) && !a->t->is_base64 && !json_read_is(format, "float") && !json_read_is(format, ""))
        mistakes_add(&a->mistakes, "encoding_format: must be float or base64");
}

static int embed_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    struct json_value values[EMBED_N], dimensions;
    struct openai_ask a;
    if (openai_ask_read(&a, t, (struct json_text){json, json_n}, names, EMBED_N, values, out, why) < 0)
        return -EINVAL;
    openai_ask_model(&a);
    openai_ask_keep_alive(&a);
    openai_ask_load_options(&a);
    if (openai_is_count(&a, &values[DIMENSIONS], "dimensions", 1, &dimensions))
        json_write_member(&a.w, "dimensions", &dimensions);
    read_encoding(&a);
    write_input(&a);
    return openai_ask_end(&a);
}

/* The numbers as floats of four bytes, the lowest first. A value is followed by a comma or a bracket, where strtof() ends. */
static void write_base64(struct json_write *w, const struct json_value *numbers)
{
    struct base64_encoder b = {.held_n = 0};
    struct json_items items;
    struct json_value number;
    char text[BASE64_LETTERS(4)];
    json_write_text(w, "\"");
    json_items_init(&items, numbers);
    while (json_items_next(&items, &number)) {
        float value = number.kind == JSON_NUMBER ? strtof(number.at, NULL) : 0;
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        unsigned char bytes[4] = {(unsigned char)bits, (unsigned char)(bits >> 8), (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
        json_write_bytes(w, text, base64_encode(&b, bytes, sizeof bytes, text));
    }
    json_write_bytes(w, text, base64_encode_end(&b, text));
    json_write_text(w, "\"");
}

static void write_embeddings(struct translation *t, struct json_write *w, const struct json_value *embeddings)
{
    struct json_items items;
    struct json_value one;
    json_items_init(&items, embeddings);
    while (json_items_next(&items, &one)) {
        json_write_text(w, items.read_n > 1 ? ",{\"object\":\"embedding\",\"embedding\":" : "{\"object\":\"embedding\",\"embedding\":");
        if (t->is_base64)
            write_base64(w, &one);
        else
            json_write_safely(w, &one);
        json_write_text(w, ",\"index\":");
        json_write_number(w, items.read_n - 1);
        json_write_text(w, "}");
    }
}

static int embed_object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    struct json_value v[OBJECT_N];
    struct json_walk walk = {json, json + json_n};
    struct json_write w = json_write_begin(out);
    if (json_read_members(&walk, object_names, OBJECT_N, JSON_EXACT, v) < 0 || v[EMBEDDINGS].kind != JSON_ARRAY)
        return -EINVAL;
    uint64_t tokens_n = json_read_count(&v[PROMPT_EVAL_COUNT]);
    json_write_text(&w, "{\"object\":\"list\",\"data\":[");
    write_embeddings(t, &w, &v[EMBEDDINGS]);
    json_write_text(&w, "],\"model\":");
    if (t->model)
        json_write_string(&w, t->model, strlen(t->model));
    else
        json_write_value(&w, &v[MODEL]);
    json_write_text(&w, ",\"usage\":{\"prompt_tokens\":");
    json_write_number(&w, tokens_n);
    json_write_text(&w, ",\"total_tokens\":");
    json_write_number(&w, tokens_n);
    json_write_text(&w, "}}\n");
    return json_write_end(&w);
}

const struct translate_ops openai_embed_ops = {.target = "/api/embed", .request = embed_request, .object = embed_object};
