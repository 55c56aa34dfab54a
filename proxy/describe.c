/*
 * See describe.h. Everything before a cut is in its hash: each value is hashed under the hash of all that stands before it. Of what a client may write
 * otherwise the next time (white space, the order of members, marks for caches) as much is left out as lies between the values.
 */
#include "proxy/describe.h"

#include "common/json_read.h"
#include "common/utf8.h"
#include "proxy/prompt.h"

#include <string.h>

enum { SAMPLE_BYTES = 4096 }; /* of an image: of its beginning, and of its end */

enum member {
    /* what a template puts before all messages, in whatever order */
    SYSTEM, INSTRUCTIONS, TEMPLATE, TOOLS, THINK,
    BEFORE_N,
    MESSAGES = BEFORE_N, PROMPT, INPUT, SUFFIX, CONTEXT, IMAGES, OPTIONS, MAX_TOKENS, MAX_COMPLETION_TOKENS, MAX_OUTPUT_TOKENS,
    MEMBERS_N,
};
static const char *const members[MEMBERS_N] = {"system", "instructions", "template", "tools", "think", "messages", "prompt", "input", "suffix", "context",
                                               "images", "options", "max_tokens", "max_completion_tokens", "max_output_tokens"};

enum part { ROLE, CONTENT, CALLS, PICTURES, NAME, PARTS_N };
static const char *const parts[PARTS_N] = {"role", "content", "tool_calls", "images", "tool_name"};

struct cutter {
    struct token_line line;
    unsigned char state[SIPHASH_BYTES]; /* the hash of all so far */
    uint64_t chars_n, other_tokens_n;
    size_t messages_n;
    struct prefix *out;
};

static void hash_bytes_of(struct cutter *c, const char *bytes, size_t bytes_n)
{
    siphash(c->state, bytes, bytes_n, c->state);
}

/* which: two members with one value are two prompts. */
static void hash_value(struct cutter *c, unsigned which, const struct json_value *v)
{
    c->state[0] = (unsigned char)(c->state[0] + which + 1);
    hash_bytes_of(c, v->at, v->n);
}

/* Megabytes: what differs does so at an end, or in length. */
static void hash_images(struct cutter *c, const struct json_value *images)
{
    struct json_items items;
    struct json_value image;
    json_items_init(&items, images);
    while (json_items_next(&items, &image)) {
        size_t sample_n = image.n < SAMPLE_BYTES ? image.n : SAMPLE_BYTES;
        hash_bytes_of(c, (const char *)&image.n, sizeof image.n);
        hash_bytes_of(c, image.at, sample_n);
        hash_bytes_of(c, image.at + image.n - sample_n, sample_n);
        c->other_tokens_n += DESCRIBE_IMAGE_TOKENS;
    }
}

/* What a model reads of it: a string's characters; of a list of parts (OpenAI's, Anthropic's) their texts, and an image for what is none. */
static void count_value(struct cutter *c, const struct json_value *v)
{
    static const char *const names[] = {"text", "type"};
    struct json_value inside[2], item;
    struct json_items items;
    if (v->kind == JSON_STRING)
        c->chars_n += prompt_string_chars(json_read_text(v));
    else if (v->kind != JSON_ARRAY)
        c->chars_n += utf8_count(v->at, v->n);
    json_items_init(&items, v);
    while (json_items_next(&items, &item)) {
        json_read_object(&item, names, 2, JSON_FOLDED, inside);
        if (inside[0].kind == JSON_STRING)
            c->chars_n += prompt_string_chars(json_read_text(&inside[0]));
        else if (json_read_is(&inside[1], "image") || json_read_is(&inside[1], "input_image"))
            c->other_tokens_n += DESCRIBE_IMAGE_TOKENS;
        else
            c->chars_n += utf8_count(item.at, item.n);
    }
}

/* Here: of more than there is room for, the first and the last ones stay. */
static void cut(struct cutter *c)
{
    struct prefix *p = c->out;
    uint64_t tokens_n = token_count(c->line, c->chars_n, c->messages_n) + c->other_tokens_n;
    if (p->cuts_n == PREFIX_CUTS) {
        memmove(&p->hashes[1], &p->hashes[2], (PREFIX_CUTS - 2) * sizeof *p->hashes);
        memmove(&p->tokens[1], &p->tokens[2], (PREFIX_CUTS - 2) * sizeof *p->tokens);
        p->cuts_n--;
    }
    memcpy(&p->hashes[p->cuts_n], c->state, sizeof *p->hashes);
    p->tokens[p->cuts_n++] = tokens_n < UINT32_MAX ? (uint32_t)tokens_n : UINT32_MAX;
}

static void read_before(struct cutter *c, const struct json_value *v)
{
    int is_there = 0;
    for (unsigned i = 0; i < BEFORE_N; i++) {
        if (v[i].kind == JSON_NULL)
            continue;
        hash_value(c, i, &v[i]);
        if (i == SYSTEM || i == INSTRUCTIONS || i == TOOLS) {
            count_value(c, &v[i]);
            c->messages_n++;
            is_there = 1;
        }
    }
    if (is_there)
        cut(c);
}

static void read_message(struct cutter *c, const struct json_value *message)
{
    struct json_value v[PARTS_N];
    c->messages_n++;
    json_read_object(message, parts, PARTS_N, JSON_FOLDED, v);
    for (unsigned i = 0; i < PARTS_N; i++) {
        if (v[i].kind == JSON_NULL)
            continue;
        if (i == PICTURES)
            hash_images(c, &v[i]);
        else
            hash_value(c, i, &v[i]);
        if (i == CONTENT || i == CALLS)
            count_value(c, &v[i]);
    }
    if (message->kind != JSON_OBJECT || (v[ROLE].kind == JSON_NULL && v[CONTENT].kind == JSON_NULL)) { /* a text of several, or a call of /v1/responses */
        hash_value(c, PARTS_N, message);
        count_value(c, message);
    }
    cut(c);
}

static void add_text(struct cutter *c, const char *at, size_t n)
{
    hash_bytes_of(c, at, n);
    c->chars_n += prompt_string_chars((struct json_text){at, n}); /* a character that the cut is in counts for more than one */
    cut(c);
}

/* One that may grow at its end, as a text that has the conversation so far in it. */
static void read_prompt(struct cutter *c, struct json_text prompt)
{
    size_t done_n = 0;
    c->messages_n++;
    for (size_t next_n = DESCRIBE_FIRST_BYTES; next_n < prompt.n; next_n *= 2) {
        add_text(c, prompt.at + done_n, next_n - done_n);
        done_n = next_n;
    }
    add_text(c, prompt.at + done_n, prompt.n - done_n);
}

static void read_texts(struct cutter *c, const struct json_value *v)
{
    struct json_value item;
    struct json_items items;
    json_items_init(&items, v);
    while (json_items_next(&items, &item))
        read_message(c, &item);
    if (v->kind == JSON_STRING)
        read_prompt(c, json_read_text(v));
}

/* Tokens of an earlier answer, as /api/generate has them: a number each. */
static void read_context(struct cutter *c, const struct json_value *context)
{
    struct json_value item;
    struct json_items items;
    if (context->kind != JSON_ARRAY)
        return;
    hash_value(c, CONTEXT, context);
    json_items_init(&items, context);
    while (json_items_next(&items, &item))
        c->other_tokens_n++;
    cut(c);
}

static int64_t output_most(const struct json_value *v)
{
    static const char *const names[] = {"num_predict"};
    struct json_value said;
    json_read_object(&v[OPTIONS], names, 1, JSON_EXACT, &said);
    uint64_t most = json_read_count(&said);
    for (size_t i = MAX_TOKENS; i <= MAX_OUTPUT_TOKENS && most == 0; i++)
        most = json_read_count(&v[i]);
    return (int64_t)most;
}

void describe_body(const char *json, size_t json_n, struct token_line line, const unsigned char secret[SIPHASH_BYTES], struct description *out)
{
    struct json_value v[MEMBERS_N];
    struct json_walk w = {json, json + json_n};
    struct cutter c = {.line = line, .out = &out->prefix};
    *out = (struct description){.prompt_tokens = 1};
    if (json_read_members(&w, members, MEMBERS_N, JSON_FOLDED, v) < 0)
        return;
    memcpy(c.state, secret, sizeof c.state);
    read_before(&c, v);
    read_context(&c, &v[CONTEXT]);
    hash_images(&c, &v[IMAGES]);
    read_texts(&c, &v[MESSAGES]);
    read_texts(&c, &v[PROMPT]);
    read_texts(&c, &v[INPUT]);
    count_value(&c, &v[SUFFIX]);
    out->prompt_tokens = (int64_t)(token_count(line, c.chars_n, c.messages_n) + c.other_tokens_n);
    out->output_most = output_most(v);
}
