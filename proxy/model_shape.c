/*
 * See model_shape.h. model_info has the keys of the GGUF file, `ARCHITECTURE.block_count` and the like: of one architecture, so that
 * what stands before the first dot does not matter. A list there (heads that differ by layer) is left out by Ollama; the shapes of
 * the tensors say it then.
 */
#include "proxy/model_shape.h"

#include "common/json_walk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 128, NUMBER_BYTES = 32, PARAMETERS_BYTES = 8192, DIMENSIONS = 4 };

/* A whole number that a model may have; 0 for anything else. */
static int64_t number(const struct json_value *v)
{
    char text[NUMBER_BYTES], *end;
    if (v->kind != JSON_NUMBER || v->n >= sizeof text)
        return 0;
    memcpy(text, v->at, v->n);
    text[v->n] = '\0';
    double read = strtod(text, &end);
    return end == text + v->n && read >= 1 && read <= ESTIMATE_NUM_MAX ? (int64_t)read : 0;
}

/* A member's name or a string's text, as it stands; what does not fit, or is escaped, is none of those that are known. */
static void plain(struct json_text text, char out[NAME_BYTES])
{
    ssize_t n = json_decode(text, out, NAME_BYTES);
    if (n < 0)
        out[0] = '\0';
}

static void take_key(struct model_shape *s, const char *key, const struct json_value *v)
{
    const struct {
        const char *name;
        int64_t *at;
    } numbers[] = {
        {"block_count", &s->layers_n},           {"embedding_length", &s->embedding_n},
        {"feed_forward_length", &s->feed_forward_n}, {"attention.head_count", &s->heads_n},
        {"attention.head_count_kv", &s->heads_kv_n}, {"attention.key_length", &s->key_n},
        {"attention.value_length", &s->value_n}, {"context_length", &s->context_n},
        {"attention.sliding_window", &s->window_n}, {"attention.chunk_size", &s->window_n},
        {"vocab_size", &s->vocabulary_n},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(key, numbers[i].name) == 0)
            *numbers[i].at = number(v);
    if (strcmp(key, "attention.causal") == 0)
        s->is_encoder = v->kind == JSON_FALSE;
    else if (strcmp(key, "pooling_type") == 0)
        s->is_embedder = 1;
}

static void take_info(struct model_shape *s, const struct json_value *v)
{
    struct json_walk w = {v->at + 1, v->at + v->n};
    struct json_member m = {.is_last = 0};
    char name[NAME_BYTES];
    for (int is_first = 1; v->kind == JSON_OBJECT && !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0) {
        plain(m.name, name);
        const char *dot = strchr(name, '.');
        if (dot)
            take_key(s, dot + 1, &m.value);
    }
}

/* ggml's types: bytes of a block, and its elements (ggml-common.h). A type that is not known counts nothing. */
static double type_bytes(const char *name)
{
    static const struct {
        const char *name;
        double bytes, elements;
    } types[] = {
        {"F32", 4, 1},      {"F16", 2, 1},      {"BF16", 2, 1},     {"F64", 8, 1},      {"Q4_0", 18, 32},   {"Q4_1", 20, 32},
        {"Q5_0", 22, 32},   {"Q5_1", 24, 32},   {"Q8_0", 34, 32},   {"Q8_1", 36, 32},   {"Q2_K", 84, 256},  {"Q3_K", 110, 256},
        {"Q4_K", 144, 256}, {"Q5_K", 176, 256}, {"Q6_K", 210, 256}, {"Q8_K", 292, 256}, {"MXFP4", 17, 32},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].bytes / types[i].elements;
    return 0;
}

struct tensor {
    char name[NAME_BYTES], type[NAME_BYTES];
    int64_t shape[DIMENSIONS]; /* the fastest first */
};

static void take_dimensions(struct tensor *t, const struct json_value *v)
{
    struct json_walk w = {v->at + 1, v->at + v->n};
    struct json_value item;
    for (size_t i = 0; v->kind == JSON_ARRAY && i < DIMENSIONS && json_value(&w, &item) == 0; i++) {
        t->shape[i] = number(&item);
        if (!json_take(&w, ','))
            return;
    }
}

static void read_tensor(struct tensor *t, const struct json_value *v)
{
    struct json_walk w = {v->at + 1, v->at + v->n};
    struct json_member m = {.is_last = 0};
    *t = (struct tensor){.name = ""};
    for (int is_first = 1; v->kind == JSON_OBJECT && !m.is_last && json_member(&w, is_first, &m) == 1; is_first = 0) {
        struct json_text text = {m.value.at + 1, m.value.n - 2};
        if (m.value.kind == JSON_STRING && json_match(m.name, "name") == JSON_EXACT)
            plain(text, t->name);
        else if (m.value.kind == JSON_STRING && json_match(m.name, "type") == JSON_EXACT)
            plain(text, t->type);
        else if (json_match(m.name, "shape") == JSON_EXACT)
            take_dimensions(t, &m.value);
    }
}

static int has_end(const char *text, const char *end)
{
    size_t n = strlen(text), end_n = strlen(end);
    return n >= end_n && strcmp(text + n - end_n, end) == 0;
}

/* Sums as doubles, kept where they are a size that a file may have. */
static void take_tensor(struct model_shape *s, const struct tensor *t, double *weights, double *cached)
{
    double elements = t->shape[0] ? 1 : 0;
    for (size_t i = 0; i < DIMENSIONS; i++)
        elements *= t->shape[i] ? (double)t->shape[i] : 1;
    *weights += elements * type_bytes(t->type);
    if (strncmp(t->name, "blk.", 4) == 0 && (has_end(t->name, ".attn_k.weight") || has_end(t->name, ".attn_v.weight")))
        *cached += (double)t->shape[1];
    else if (strcmp(t->name, "token_embd.weight") == 0 && t->shape[1])
        s->vocabulary_n = t->shape[1];
}

static void take_tensors(struct model_shape *s, const struct json_value *v)
{
    struct json_walk w = {v->at + 1, v->at + v->n};
    struct json_value item;
    struct tensor tensor;
    double weights = 0, cached = 0;
    while (v->kind == JSON_ARRAY && json_value(&w, &item) == 0) {
        read_tensor(&tensor, &item);
        take_tensor(s, &tensor, &weights, &cached);
        if (!json_take(&w, ','))
            break;
    }
    s->weights_bytes = weights < 1e18 ? (int64_t)weights : 0;
    s->cached_n = cached < ESTIMATE_NUM_MAX ? (int64_t)cached : 0;
}

/* A line `num_ctx                        2048` for each of the model's own parameters. */
static void take_parameters(struct model_shape *s, const struct json_value *v)
{
    char text[PARAMETERS_BYTES], *rest = NULL;
    if (v->kind != JSON_STRING || json_decode((struct json_text){v->at + 1, v->n - 2}, text, sizeof text) < 0)
        return;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char name[NAME_BYTES], value[NUMBER_BYTES], *end;
        if (sscanf(line, "%127s %31s", name, value) != 2)
            continue;
        for (int i = 0; i < LOAD_OPTION_COUNT; i++) {
            if (strcmp(name, load_option_name((enum load_option)i)) != 0)
                continue;
            double given = strtod(value, &end);
            if (i == LOAD_USE_MMAP)
                given = strcmp(value, "true") == 0;
            else if (end == value)
                continue;
            if (given >= -1 && given <= ESTIMATE_NUM_MAX)
                load_options_set(&s->own, (enum load_option)i, (int64_t)given);
        }
    }
}

int model_shape_read(struct model_shape *out, const char *json, size_t json_n)
{
    struct json_walk w = {json, json + json_n};
    struct json_member m = {.is_last = 0};
    *out = (struct model_shape){.layers_n = 0};
    int got = json_take(&w, '{') ? 1 : -EINVAL;
    for (int is_first = 1; got == 1 && !m.is_last; is_first = 0) {
        got = json_member(&w, is_first, &m);
        if (got != 1)
            break;
        if (json_match(m.name, "model_info") == JSON_EXACT)
            take_info(out, &m.value);
        else if (json_match(m.name, "tensors") == JSON_EXACT)
            take_tensors(out, &m.value);
        else if (json_match(m.name, "parameters") == JSON_EXACT)
            take_parameters(out, &m.value);
    }
    return got < 0 ? got : 0;
}
