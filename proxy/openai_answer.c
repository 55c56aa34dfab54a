/* See openai_answer.h. */
#include "proxy/openai_answer.h"

/* Each event of a stream begins as the one before, whose model is nearly always the same. */
static int write_frame(struct openai_answer *a)
{
    const struct translation *t = a->t;
    const struct json_value *model = a->values ? &a->values[ANSWER_MODEL] : NULL;
    if (t->frame_n == 0 || !model || model->n != t->frame_model_n || memcmp(model->at, t->frame + t->frame_model, model->n) != 0)
        return 0;
    json_write_bytes(&a->w, t->frame, t->frame_n);
    return 1;
}

static void keep_frame(struct openai_answer *a, size_t from_n, size_t model_n, size_t behind_n)
{
    struct translation *t = a->t;
    size_t n = buf_size(a->w.out) - from_n;
    t->frame_n = 0;
    if (a->w.error || n > sizeof t->frame)
        return;
    memcpy(t->frame, buf_data(a->w.out) + from_n, n);
    t->frame_n = (uint16_t)n;
    t->frame_model = (uint16_t)(model_n - from_n);
    t->frame_model_n = (uint16_t)(behind_n - model_n);
}

void openai_answer_begin(struct openai_answer *a, int is_event)
{
    const struct translation *t = a->t;
    struct json_write *w = &a->w;
    size_t from_n = buf_size(w->out);
    if (is_event && write_frame(a))
        return;
    json_write_text(w, is_event ? "data: {\"id\":\"" : "{\"id\":\"");
    json_write_text(w, t->id);
    json_write_text(w, "\",\"object\":\"");
    json_write_text(w, t->is_stream ? a->kind->piece : a->kind->whole);
    json_write_text(w, "\",\"created\":");
    json_write_number(w, t->created_s > 0 ? (uint64_t)t->created_s : 0);
    json_write_text(w, ",\"model\":");
    size_t model_n = buf_size(w->out);
    if (a->values && a->values[ANSWER_MODEL].kind == JSON_STRING)
        json_write_safely(w, &a->values[ANSWER_MODEL]);
    else
        json_write_string(w, t->model ? t->model : "", t->model ? strlen(t->model) : 0);
    size_t behind_n = buf_size(w->out);
    json_write_text(w, ",\"system_fingerprint\":\"fp_ollama\",\"choices\":[");
    if (is_event)
        keep_frame(a, from_n, model_n, behind_n);
}

void openai_answer_end(struct openai_answer *a, int is_event, int has_usage)
{
    struct json_write *w = &a->w;
    json_write_text(w, "]");
    if (has_usage) {
        uint64_t prompt_n = json_read_count(&a->values[ANSWER_PROMPT_EVAL_COUNT]);
        uint64_t answer_n = json_read_count(&a->values[ANSWER_EVAL_COUNT]);
        json_write_text(w, ",\"usage\":{\"prompt_tokens\":");
        json_write_number(w, prompt_n);
        json_write_text(w, ",\"completion_tokens\":");
        json_write_number(w, answer_n);
        json_write_text(w, ",\"total_tokens\":");
        json_write_number(w, prompt_n + answer_n);
        json_write_text(w, "}");
    }
    if (is_event && !has_usage && a->t->is_usage_wanted) /* it is in the last one alone, and null up to there */
        json_write_text(w, ",\"usage\":null");
    json_write_text(w, is_event ? "}\n\n" : "}\n");
}

void openai_answer_last(struct openai_answer *a)
{
    if (a->t->is_usage_wanted) {
        openai_answer_begin(a, 1);
        openai_answer_end(a, 1, 1);
    }
    json_write_text(&a->w, "data: [DONE]\n\n");
    a->t->has_ended = 1;
}

/* Of Ollama's reasons one is OpenAI's, `length`; the others are ends as they should be, those of a request that only loads a model or
 * unloads it, too; and a call of a tool is a reason of its own. What ended without one was cut short: Ollama gives up where a model
 * repeats itself. */
void openai_answer_reason(struct openai_answer *a, int has_ended)
{
    json_write_text(&a->w, ",\"finish_reason\":");
    if (!has_ended)
        json_write_text(&a->w, "null");
    else if (!openai_answer_is_done(a) || json_read_is(&a->values[ANSWER_DONE_REASON], "length"))
        json_write_text(&a->w, "\"length\"");
    else if (a->t->calls_n > 0)
        json_write_text(&a->w, a->t->is_function_wanted ? "\"function_call\"" : "\"tool_calls\"");
    else
        json_write_text(&a->w, "\"stop\"");
}

void openai_answer_text(struct openai_answer *a, const struct json_value *text)
{
    if (text->kind == JSON_STRING)
        json_write_safely(&a->w, text);
    else
        json_write_text(&a->w, "\"\"");
}
