/* See openai_text.h. Source: https://platform.openai.com/docs/api-reference/completions; ollama/openai/openai.go. */
#include "proxy/openai_text.h"

#include "proxy/openai_answer.h"
#include "proxy/openai_ask.h"
#include "proxy/openai_logprobs.h"

#include <errno.h>

static const struct openai_kind kind = {"text_completion", "text_completion"};

enum { PROMPT = OPENAI_ASK_N, SUFFIX, ECHO, BEST_OF, COUNT, TEXT_N };
static const char *const names[] = {OPENAI_ASK_NAMES, "prompt", "suffix", "echo", "best_of", "logprobs"};

enum { RESPONSE = ANSWER_N, LOGPROBS, OBJECT_N };
static const char *const object_names[] = {OPENAI_ANSWER_NAMES, "response", "logprobs"};

/* The one prompt, which may stand in an array. OpenAI takes several, and tokens instead of text; Ollama does not. */
static void write_prompt(struct openai_ask *a)
{
    struct json_value prompt = a->values[PROMPT], next;
    struct json_items items;
    json_items_init(&items, &a->values[PROMPT]);
    if (json_items_next(&items, &prompt) && json_items_next(&items, &next)) {
        mistakes_add(&a->mistakes, "prompt: one prompt at a time; send a request for each");
        return;
    }
    if (!openai_is_there(&prompt))
        mistakes_add(&a->mistakes, "prompt: missing; it must be a string");
    else if (prompt.kind != JSON_STRING)
        mistakes_add(&a->mistakes, "prompt: must be a string, or an array of one string; tokens are not taken");
    json_write_member(&a->w, "prompt", &prompt);
}

/* Here it is how many others each token is told with. */
static void write_logprobs(struct openai_ask *a)
{
    const struct json_value *count = &a->values[COUNT];
    struct json_value number;
    if (count->kind == JSON_FALSE || (count->kind != JSON_TRUE && !openai_is_count(a, count, "logprobs", -1, &number)))
        return;
    json_write_text(&a->w, ",\"logprobs\":true");
    if (count->kind != JSON_TRUE && json_read_count(&number) > 0)
        json_write_member(&a->w, "top_logprobs", &number);
}

static int text_request(struct translation *t, const char *json, size_t json_n, struct buf *out, char *why)
{
    struct json_value values[TEXT_N];
    struct openai_ask a;
    if (openai_ask_read(&a, t, (struct json_text){json, json_n}, names, TEXT_N, values, out, why) < 0)
        return -EINVAL;
    openai_ask_model(&a);
    openai_ask_stream(&a);
    openai_ask_one(&a, &values[OPENAI_ANSWERS], "n");
    openai_ask_one(&a, &values[BEST_OF], "best_of");
    if (values[ECHO].kind == JSON_TRUE)
        mistakes_add(&a.mistakes, "echo: must be false, as Ollama does not repeat the prompt; put it before the answer yourself");
    openai_ask_keep_alive(&a);
    openai_ask_options(&a, "0.0");
    write_logprobs(&a);
    write_prompt(&a);
    if (openai_is_a(&a, &values[SUFFIX], OPENAI_KIND(JSON_STRING), "suffix", "a string"))
        json_write_member(&a.w, "suffix", &values[SUFFIX]);
    return openai_ask_end(&a);
}

static void write_choice(struct openai_answer *a, const struct json_value *text, int has_ended)
{
    json_write_text(&a->w, "{\"text\":");
    openai_answer_text(a, text);
    json_write_text(&a->w, ",\"index\":0,\"logprobs\":");
    openai_logprobs_text(&a->w, &a->values[LOGPROBS], &a->t->text_n);
    openai_answer_reason(a, has_ended);
    json_write_text(&a->w, "}");
}

static int text_object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    struct json_value values[OBJECT_N];
    struct json_walk walk = {json, json + json_n};
    struct openai_answer a = {.t = t, .kind = &kind, .values = values, .w = json_write_begin(out)};
    if (json_read_members(&walk, object_names, OBJECT_N, JSON_EXACT, values) < 0 ||
        (values[RESPONSE].kind != JSON_STRING && !openai_answer_is_done(&a)))
        return -EINVAL;
    openai_answer_begin(&a, t->is_stream);
    write_choice(&a, &values[RESPONSE], !t->is_stream || openai_answer_is_done(&a));
    openai_answer_end(&a, t->is_stream, !t->is_stream);
    if (t->is_stream && openai_answer_is_done(&a))
        openai_answer_last(&a);
    t->has_begun = 1;
    return json_write_end(&a.w);
}

static int text_nothing(struct translation *t, struct buf *out)
{
    struct openai_answer a = {.t = t, .kind = &kind, .w = json_write_begin(out)};
    openai_answer_begin(&a, 1);
    json_write_text(&a.w, "{\"text\":\"\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}");
    openai_answer_end(&a, 1, 0);
    return json_write_end(&a.w);
}

const struct translate_ops openai_text_ops = {.target = "/api/generate", .request = text_request, .object = text_object, .nothing = text_nothing};
