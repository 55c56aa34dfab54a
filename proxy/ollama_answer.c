/* See ollama_answer.h. */
#include "proxy/ollama_answer.h"

#include "common/json_read.h"

#include <errno.h>

enum { CHOICES, USAGE, TIMINGS, OBJECT_N };
static const char *const object_names[] = {"choices", "usage", "timings"};

enum { DELTA, MESSAGE, TEXT, FINISH_REASON, LOGPROBS, CHOICE_N };
static const char *const choice_names[] = {"delta", "message", "text", "finish_reason", "logprobs"};

enum { CONTENT, REASONING_CONTENT, REASONING, REFUSAL, TOOL_CALLS, SAID_N };
static const char *const said_names[] = {"content", "reasoning_content", "reasoning", "refusal", "tool_calls"};

/* What a piece says. Not there: its kind is JSON_NULL. */
struct said {
    struct json_value content, thinking, logprobs;
};

enum { TIMING_MAX_MS = 1000 * 1000 * 1000 };

static const struct said nothing = {{.kind = JSON_NULL}, {.kind = JSON_NULL}, {.kind = JSON_NULL}};

static int has_text(const struct json_value *value)
{
    return value->kind == JSON_STRING && value->n > 2;
}

static void take_counts(struct ollama_turn *turn, const struct json_value *usage)
{
    static const char *const names[] = {"prompt_tokens", "completion_tokens"};
    struct json_value v[2];
    if (usage->kind != JSON_OBJECT)
        return;
    json_read_object(usage, names, 2, JSON_EXACT, v);
    turn->prompt_n = json_read_count(&v[0]);
    turn->answer_n = json_read_count(&v[1]);
    turn->has_counts = 1;
}

/* llama-server's. */
static void take_timings(struct ollama_turn *turn, const struct json_value *timings)
{
    static const char *const names[] = {"prompt_ms", "predicted_ms"};
    struct json_value v[2];
    double ms[2] = {0, 0};
    if (timings->kind != JSON_OBJECT)
        return;
    json_read_object(timings, names, 2, JSON_EXACT, v);
    for (int i = 0; i < 2; i++)
        if (v[i].kind != JSON_NUMBER || json_read_number(v[i].at, v[i].n, &ms[i]) < 0 || !(ms[i] > 0 && ms[i] < TIMING_MAX_MS))
            return;
    turn->prompt_ns = (int64_t)(ms[0] * 1e6);
    turn->answer_ns = (int64_t)(ms[1] * 1e6);
}

/* A call is no reason of its own at Ollama. What is no word ends it as well. */
static void take_reason(struct ollama_turn *turn, const struct json_value *reason)
{
    if (!has_text(reason))
        return;
    struct json_text text = json_read_text(reason);
    int is_word = text.n < sizeof turn->reason && !json_read_is(reason, "tool_calls") && !json_read_is(reason, "function_call");
    for (size_t i = 0; is_word && i < text.n; i++)
        is_word = (text.at[i] >= 'a' && text.at[i] <= 'z') || text.at[i] == '_';
    if (!is_word)
        text = (struct json_text){"stop", 4};
    memcpy(turn->reason, text.at, text.n);
    turn->reason[text.n] = '\0';
}

/* What the first choice says, whole or a piece of it: nobody asked for several. 0, -EINVAL or -ENOMEM. */
static int read_choice(struct translation *t, const struct json_value *choices, struct said *said)
{
    struct json_items items;
    struct json_value choice, v[CHOICE_N], s[SAID_N];
    *said = nothing;
    json_items_init(&items, choices);
    if (!json_items_next(&items, &choice))
        return 0;
    json_read_object(&choice, choice_names, CHOICE_N, JSON_EXACT, v);
    take_reason(t->turn, &v[FINISH_REASON]);
    if (v[LOGPROBS].kind == JSON_OBJECT) {
        static const char *const logprobs_names[] = {"content"};
        json_read_object(&v[LOGPROBS], logprobs_names, 1, JSON_EXACT, &said->logprobs);
    }
    if (v[TEXT].kind == JSON_STRING) {
        said->content = v[TEXT];
        return 0;
    }
    json_read_object(v[DELTA].kind == JSON_OBJECT ? &v[DELTA] : &v[MESSAGE], said_names, SAID_N, JSON_EXACT, s);
    said->content = has_text(&s[CONTENT]) ? s[CONTENT] : s[REFUSAL];
    if (!t->is_thinking_dropped)
        said->thinking = has_text(&s[REASONING_CONTENT]) ? s[REASONING_CONTENT] : s[REASONING];
    return s[TOOL_CALLS].kind == JSON_ARRAY ? ollama_turn_gather(t, &s[TOOL_CALLS]) : 0;
}

static void write_begin(struct translation *t, struct json_write *w)
{
    char stamp[TURN_STAMP_BYTES];
    json_write_text(w, "{\"model\":");
    json_write_string(w, t->model ? t->model : "", t->model ? strlen(t->model) : 0);
    json_write_text(w, ",\"created_at\":\"");
    json_write_text(w, ollama_turn_stamp(t, stamp));
    json_write_text(w, "\",");
}

/* with_calls: of a chat, all that were gathered. */
static int write_said(struct translation *t, struct json_write *w, const struct said *said, int with_calls)
{
    int is_message = t->ops->said == OLLAMA_SAID_MESSAGE, error = 0;
    json_write_text(w, is_message ? "\"message\":{\"role\":\"assistant\",\"content\":" : "\"response\":");
    if (has_text(&said->content))
        json_write_safely(w, &said->content);
    else
        json_write_text(w, "\"\"");
    if (has_text(&said->thinking)) {
        json_write_text(w, ",\"thinking\":");
        json_write_safely(w, &said->thinking);
    }
    if (with_calls && is_message)
        error = ollama_turn_write(t, w, strcmp(t->turn->reason, "length") == 0);
    json_write_text(w, is_message ? "}" : "");
    if (said->logprobs.kind == JSON_ARRAY) {
        json_write_text(w, ",\"logprobs\":");
        json_write_safely(w, &said->logprobs);
    }
    return error;
}

static void write_line(struct translation *t, struct json_write *w, const struct said *said, int with_calls)
{
    write_begin(t, w);
    if (write_said(t, w, said, with_calls) < 0)
        w->error = -EINVAL;
    json_write_text(w, ",\"done\":false}\n");
}

static void write_ns(struct json_write *w, const char *name, int64_t ns)
{
    json_write_text(w, name);
    json_write_number(w, ns > 0 ? (uint64_t)ns : 0);
}

/* Of an answer whose backend counts nothing there is nothing to tell. */
static void write_count(const struct translation *t, struct json_write *w, const char *name, uint64_t tokens_n)
{
    if (!t->turn->has_counts && !t->ops->is_unknown_null)
        return;
    json_write_text(w, name);
    if (t->turn->has_counts)
        json_write_number(w, tokens_n);
    else
        json_write_text(w, "null");
}

/* How it ended, from `done` on. What the backend does not say is measured: of an answer that came at once all the time was that of the answer, as a
 * speed without end is none, and how long the prompt took is not known. */
static void write_metrics(struct translation *t, struct json_write *w)
{
    enum { NS_PER_MS = 1000 * 1000 };
    const struct ollama_turn *turn = t->turn;
    int is_measured = turn->first_ms && turn->first_ms < t->now_ms, has_timings = turn->answer_ns > 0;
    int64_t first_ms = is_measured ? turn->first_ms : turn->asked_ms;
    json_write_text(w, ",\"done\":true,\"done_reason\":\"");
    json_write_text(w, *turn->reason ? turn->reason : "stop");
    write_ns(w, "\",\"total_duration\":", (t->now_ms - turn->asked_ms + t->load_ms) * NS_PER_MS);
    write_ns(w, ",\"load_duration\":", t->load_ms * NS_PER_MS);
    write_count(t, w, ",\"prompt_eval_count\":", turn->prompt_n);
    if (t->ops->is_unknown_null && !is_measured && !has_timings)
        json_write_text(w, ",\"prompt_eval_duration\":null");
    else
        write_ns(w, ",\"prompt_eval_duration\":", has_timings ? turn->prompt_ns : (first_ms - turn->asked_ms) * NS_PER_MS);
    write_count(t, w, ",\"eval_count\":", turn->answer_n);
    write_ns(w, ",\"eval_duration\":", has_timings ? turn->answer_ns : (t->now_ms - first_ms) * NS_PER_MS);
    json_write_text(w, "}\n");
}

static int write_last(struct translation *t, struct buf *out)
{
    struct json_write w = json_write_begin(out);
    if (t->turn->calls_n > 0 && t->ops->said == OLLAMA_SAID_MESSAGE)
        write_line(t, &w, &nothing, 1);
    write_begin(t, &w);
    (void)write_said(t, &w, &nothing, 0);
    write_metrics(t, &w);
    t->has_ended = !w.error;
    return json_write_end(&w);
}

static int write_whole(struct translation *t, const struct said *said, struct buf *out)
{
    struct json_write w = json_write_begin(out);
    write_begin(t, &w);
    if (write_said(t, &w, said, 1) < 0)
        w.error = -EINVAL;
    write_metrics(t, &w);
    return json_write_end(&w);
}

/* Whatever blanks stand around it. */
static int is_done(struct json_walk walk)
{
    json_space(&walk);
    if (walk.end - walk.at < 6 || memcmp(walk.at, "[DONE]", 6) != 0)
        return 0;
    walk.at += 6;
    json_space(&walk);
    return walk.at == walk.end;
}

int ollama_answer_object(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    struct json_walk walk = {json, json + json_n};
    struct json_value v[OBJECT_N];
    struct said said;
    if (!ollama_turn_of(t))
        return -ENOMEM;
    if (is_done(walk))
        return t->is_stream ? write_last(t, out) : -EINVAL;
    if (json_read_members(&walk, object_names, OBJECT_N, JSON_EXACT, v) < 0 || (!t->is_stream && v[CHOICES].kind != JSON_ARRAY))
        return -EINVAL;
    take_counts(t->turn, &v[USAGE]);
    take_timings(t->turn, &v[TIMINGS]);
    int error = read_choice(t, &v[CHOICES], &said);
    if (error)
        return error;
    if (!t->is_stream)
        return write_whole(t, &said, out);
    if (!has_text(&said.content) && !has_text(&said.thinking) && said.logprobs.kind != JSON_ARRAY)
        return 0;
    if (!t->turn->first_ms)
        t->turn->first_ms = t->now_ms;
    struct json_write w = json_write_begin(out);
    write_line(t, &w, &said, 0);
    return json_write_end(&w);
}

/* A stream that has said why it ended is over, also where it does not say so. */
int ollama_answer_end(struct translation *t, struct buf *out)
{
    return t->turn && *t->turn->reason && !t->has_ended ? write_last(t, out) : 0;
}
