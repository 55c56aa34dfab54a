/*
 * See openai_chat_answer.h. Chunks are those of Ollama's newer versions, and OpenAI's: the role is in the first one alone, why it
 * ended in one of its own, thinking apart from what is said.
 */
#include "proxy/openai_chat_answer.h"

#include "proxy/openai_answer.h"
#include "proxy/openai_logprobs.h"
#include "proxy/openai_repair.h"

#include <errno.h>

static const struct openai_kind kind = {"chat.completion", "chat.completion.chunk"};

enum { MESSAGE = ANSWER_N, LOGPROBS, OBJECT_N };
static const char *const object_names[] = {OPENAI_ANSWER_NAMES, "message", "logprobs"};

enum { CONTENT, THINKING, TOOL_CALLS, SAID_N };
static const char *const said_names[] = {"content", "thinking", "tool_calls"};

/* What of a message is written. */
enum { WITH_ROLE = 1, WITH_CONTENT = 2, WITH_THINKING = 4, WITH_ALL = WITH_CONTENT | WITH_THINKING };

static void write_arguments(struct openai_answer *a, const struct json_value *arguments)
{
    if (arguments->kind == JSON_OBJECT)
        json_write_string(&a->w, arguments->at, arguments->n);
    else if (arguments->kind == JSON_STRING) /* none of Ollama's own does so */
        json_write_safely(&a->w, arguments);
    else
        json_write_text(&a->w, "\"{}\"");
}

/* Older ones give no id. */
static void write_id(struct openai_answer *a, const struct json_value *id)
{
    const char *dash = strrchr(a->t->id, '-');
    if (openai_has_text(id)) {
        json_write_safely(&a->w, id);
        return;
    }
    json_write_text(&a->w, "\"call_");
    json_write_text(&a->w, dash ? dash + 1 : a->t->id);
    json_write_text(&a->w, "_");
    json_write_number(&a->w, a->t->calls_n);
    json_write_text(&a->w, "\"");
}

/* Arguments are an object at Ollama, and a string in which an object is written here. Only pieces of an answer count their calls. */
static void write_call(struct openai_answer *a, const struct json_value *id, const struct json_value *name, const struct json_value *arguments)
{
    struct json_write *w = &a->w;
    if (a->t->is_function_wanted) {
        json_write_text(w, "{\"name\":");
    } else {
        json_write_text(w, "{");
        if (a->t->is_stream) {
            json_write_text(w, "\"index\":");
            json_write_number(w, a->t->calls_n);
            json_write_text(w, ",");
        }
        json_write_text(w, "\"id\":");
        write_id(a, id);
        json_write_text(w, ",\"type\":\"function\",\"function\":{\"name\":");
    }
    openai_answer_text(a, name);
    json_write_text(w, ",\"arguments\":");
    write_arguments(a, arguments);
    json_write_text(w, a->t->is_function_wanted ? "}" : "}}");
    a->t->calls_n++;
}

static void write_calls(struct openai_answer *a, const struct json_value *calls)
{
    static const char *const call_names[] = {"id", "function"}, *const function_names[] = {"name", "arguments"};
    struct json_items items;
    struct json_value call, v[2], function[2];
    size_t written_n = 0;
    for (json_items_init(&items, calls); json_items_next(&items, &call); written_n++) {
        if (a->t->is_function_wanted && a->t->calls_n > 0) /* there is room for one in the whole answer */
            return;
        json_read_object(&call, call_names, 2, JSON_EXACT, v);
        json_read_object(&v[1], function_names, 2, JSON_EXACT, function);
        json_write_text(&a->w, written_n > 0 ? "," : a->t->is_function_wanted ? ",\"function_call\":" : ",\"tool_calls\":[");
        write_call(a, &v[0], &function[0], &function[1]);
    }
    if (written_n > 0 && !a->t->is_function_wanted)
        json_write_text(&a->w, "]");
}

static int has_calls(const struct json_value *said)
{
    struct json_items items;
    struct json_value call;
    json_items_init(&items, &said[TOOL_CALLS]);
    return json_items_next(&items, &call);
}

/* Two names for one thing: Ollama's own and most readers' is `reasoning`, Cline and others read the other one alone; who knows both
 * takes one of them (docs/openai.md). */
static void write_thinking(struct openai_answer *a, const struct json_value *thinking)
{
    json_write_text(&a->w, "\"reasoning\":");
    json_write_safely(&a->w, thinking);
    json_write_text(&a->w, ",\"reasoning_content\":");
    json_write_safely(&a->w, thinking);
}

/* Nothing is said beside a call: null. */
static void write_said(struct openai_answer *a, const struct json_value *said, unsigned with)
{
    int is_null = (with & WITH_CONTENT) && !openai_has_text(&said[CONTENT]) && has_calls(said);
    json_write_text(&a->w, with & WITH_ROLE ? "{\"role\":\"assistant\"," : "{");
    if (is_null)
        json_write_text(&a->w, "\"content\":null");
    else if (with & WITH_CONTENT) {
        json_write_text(&a->w, "\"content\":");
        openai_answer_text(a, &said[CONTENT]);
    }
    if ((with & WITH_THINKING) && openai_has_text(&said[THINKING])) {
        json_write_text(&a->w, with & WITH_CONTENT ? "," : "");
        write_thinking(a, &said[THINKING]);
    }
    if (with & WITH_CONTENT)
        write_calls(a, &said[TOOL_CALLS]);
    if (!a->t->is_stream)
        json_write_text(&a->w, ",\"refusal\":null");
    json_write_text(&a->w, "}");
}

/* One chunk with something said. */
static void write_chunk(struct openai_answer *a, const struct json_value *said, unsigned with, int has_logprobs)
{
    openai_answer_begin(a, 1);
    json_write_text(&a->w, "{\"index\":0,\"delta\":");
    write_said(a, said, with | (a->t->has_begun ? 0 : WITH_ROLE));
    a->t->has_begun = 1;
    openai_answer_reason(a, 0);
    if (has_logprobs && a->values[LOGPROBS].kind == JSON_ARRAY) {
        json_write_text(&a->w, ",\"logprobs\":");
        openai_logprobs_chat(&a->w, &a->values[LOGPROBS]);
    }
    json_write_text(&a->w, "}");
    openai_answer_end(a, 1, 0);
}

/* The last object often has the counts alone; but a stream begins with something, and be it nothing. */
static void write_chunks(struct openai_answer *a, const struct json_value *said)
{
    int is_said = openai_has_text(&said[CONTENT]) || has_calls(said), is_thought = openai_has_text(&said[THINKING]);
    if (is_thought && is_said) {
        write_chunk(a, said, WITH_THINKING, 1);
        write_chunk(a, said, WITH_CONTENT, 0);
    } else if (is_thought || is_said || !a->t->has_begun || !openai_answer_is_done(a) || a->values[LOGPROBS].kind == JSON_ARRAY) {
        write_chunk(a, said, WITH_ALL, 1);
    }
    if (!openai_answer_is_done(a))
        return;
    openai_answer_begin(a, 1);
    json_write_text(&a->w, "{\"index\":0,\"delta\":{}");
    openai_answer_reason(a, 1);
    json_write_text(&a->w, "}");
    openai_answer_end(a, 1, 0);
    openai_answer_last(a);
}

static void write_whole(struct openai_answer *a, const struct json_value *said)
{
    openai_answer_begin(a, 0);
    json_write_text(&a->w, "{\"index\":0,\"message\":");
    write_said(a, said, WITH_ROLE | WITH_ALL);
    openai_answer_reason(a, 1);
    json_write_text(&a->w, ",\"logprobs\":");
    openai_logprobs_chat(&a->w, &a->values[LOGPROBS]);
    json_write_text(&a->w, "}");
    openai_answer_end(a, 0, 1);
}

int openai_chat_object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    struct json_value values[OBJECT_N], said[SAID_N];
    struct json_walk walk = {json, json + json_n};
    struct openai_answer a = {.t = t, .kind = &kind, .values = values, .w = json_write_begin(out)};
    struct openai_repaired repaired = {.calls_n = 0};
    if (json_read_members(&walk, object_names, OBJECT_N, JSON_EXACT, values) < 0 ||
        (values[MESSAGE].kind != JSON_OBJECT && !openai_answer_is_done(&a)))
        return -EINVAL;
    json_read_object(&values[MESSAGE], said_names, SAID_N, JSON_EXACT, said);
    int is_own = has_calls(said) || values[LOGPROBS].kind == JSON_ARRAY; /* what is told token by token stays as it is */
    enum openai_repair_how how = is_own ? OPENAI_REPAIR_STOP : openai_answer_is_done(&a) ? OPENAI_REPAIR_END : OPENAI_REPAIR_GO_ON;
    if (!t->is_stream && how == OPENAI_REPAIR_GO_ON)
        how = OPENAI_REPAIR_END;
    a.w.error = openai_repair(t, &repaired, how, &said[CONTENT], &said[TOOL_CALLS]);
    if (t->is_stream)
        write_chunks(&a, said);
    else
        write_whole(&a, said);
    openai_repaired_fini(&repaired);
    return json_write_end(&a.w);
}

int openai_chat_rest(struct translation *t, struct buf *out)
{
    static const struct json_value none = {JSON_NULL, NULL, 0};
    struct json_value values[OBJECT_N], said[SAID_N];
    json_read_object(&none, object_names, OBJECT_N, JSON_EXACT, values);
    json_read_object(&none, said_names, SAID_N, JSON_EXACT, said);
    struct openai_answer a = {.t = t, .kind = &kind, .values = values, .w = json_write_begin(out)};
    struct openai_repaired repaired = {.calls_n = 0};
    a.w.error = openai_repair(t, &repaired, OPENAI_REPAIR_STOP, &said[CONTENT], &said[TOOL_CALLS]);
    if (openai_has_text(&said[CONTENT]))
        write_chunk(&a, said, WITH_CONTENT, 0);
    openai_repaired_fini(&repaired);
    return json_write_end(&a.w);
}

int openai_chat_nothing(struct translation *t, struct buf *out)
{
    struct openai_answer a = {.t = t, .kind = &kind, .w = json_write_begin(out)};
    openai_answer_begin(&a, 1);
    json_write_text(&a.w, "{\"index\":0,\"delta\":{},\"finish_reason\":null}");
    openai_answer_end(&a, 1, 0);
    return json_write_end(&a.w);
}
