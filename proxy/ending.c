/*
 * See ending.h. Fields by ollama api/types.go (GenerateResponse, ChatResponse, Metrics), openai/openai.go, and the OpenAI
 * and Anthropic API references.
 *
 * That the facts do not depend on the pieces rests on this: what is dropped ends with `open`, and whoever reads the end
 * begins behind the last `open` that he finds.
 */
#include "proxy/ending.h"

#include "common/json_ends.h"

#include <string.h>

/* The end of a line, or event, behind which more must come; no string of JSON has a quote without a backslash before it, nor
 * a line end. */
static const char open_line[] = "\"done\":false}\n";
static const char open_event[] = "\"finish_reason\":null}]}\n\n";

enum { OPEN_LINE_N = sizeof open_line - 1, OPEN_EVENT_N = sizeof open_event - 1, BLANK_LINES = 64 };

void ending_begin(struct ending *e, enum ending_form form)
{
    e->form = form;
    e->is_line_begun = 0;
    e->head_n = e->tail_n = 0;
    e->open_n = 0;
}

static int ends_open(enum ending_form form, const char *bytes, size_t n)
{
    if (form == ENDING_NDJSON)
        return n >= OPEN_LINE_N && memcmp(bytes + n - OPEN_LINE_N, open_line, OPEN_LINE_N) == 0;
    return form == ENDING_SSE && n >= OPEN_EVENT_N && memcmp(bytes + n - OPEN_EVENT_N, open_event, OPEN_EVENT_N) == 0;
}

static void keep_head(struct ending *e, const char *bytes, size_t n)
{
    size_t line_n = n;
    const char *line = bytes;
    if (e->form == ENDING_NDJSON || e->form == ENDING_SSE) {
        while (line_n > 0 && bytes[line_n - 1] == '\n')
            line_n--;
        const char *before = line_n > 0 ? memrchr(bytes, '\n', line_n) : NULL;
        if (before) {
            line = before + 1;
            line_n -= (size_t)(line - bytes);
        }
        if (before || (!e->is_line_begun && line_n > 0))
            e->head_n = 0;
    }
    size_t room_n = ENDING_HEAD_BYTES - e->head_n;
    size_t copied_n = line_n < room_n ? line_n : room_n;
    memcpy(e->head + e->head_n, line, copied_n);
    e->head_n += copied_n;
    e->is_line_begun = bytes[n - 1] != '\n';
}

static void keep_tail(struct ending *e, const char *bytes, size_t n)
{
    if (n > ENDING_TAIL_BYTES) {
        e->tail_n += n - ENDING_TAIL_BYTES;
        bytes += n - ENDING_TAIL_BYTES;
        n = ENDING_TAIL_BYTES;
    }
    size_t at = e->tail_n % ENDING_TAIL_BYTES, first_n = ENDING_TAIL_BYTES - at;
    first_n = n < first_n ? n : first_n;
    memcpy(e->tail + at, bytes, first_n);
    memcpy(e->tail, bytes + first_n, n - first_n);
    e->tail_n += n;
}

/* Apart from ending_keep(), which runs for each token and needs no stack without this. */
__attribute__((noinline)) static void keep(struct ending *e, const char *bytes, size_t bytes_n)
{
    if (bytes_n == 0)
        return;
    keep_head(e, bytes, bytes_n);
    keep_tail(e, bytes, bytes_n);
}

void ending_keep(struct ending *e, const char *bytes, size_t bytes_n)
{
    if (!ends_open(e->form, bytes, bytes_n)) {
        keep(e, bytes, bytes_n);
        return;
    }
    e->open_n++;
    e->is_line_begun = 0;
    e->head_n = e->tail_n = 0;
}

/* The first that is told counts: who reads backwards meets the last of a name first. */
static void note_number(int64_t *out, struct json_text value)
{
    if (*out < 0)
        *out = json_text_number(value);
}

static void note_reason(struct ending_facts *f, struct json_text value)
{
    if (*f->reason || value.n < 2 || value.at[0] != '"' || value.n - 2 >= sizeof f->reason)
        return;
    memcpy(f->reason, value.at + 1, value.n - 2);
    f->reason[value.n - 2] = '\0';
}

static void on_usage(void *context, struct json_text name, struct json_text value, int is_cut)
{
    struct ending_facts *f = context;
    if (is_cut)
        return;
    if (json_text_is(name, "prompt_tokens") || json_text_is(name, "input_tokens"))
        note_number(&f->prompt_tokens_n, value);
    else if (json_text_is(name, "completion_tokens") || json_text_is(name, "output_tokens"))
        note_number(&f->tokens_n, value);
}

/* `response` of the events of /v1/responses, and `message` of Anthropic's message_start. */
static void on_response(void *context, struct json_text name, struct json_text value, int is_cut)
{
    if (!is_cut && json_text_is(name, "usage"))
        (void)json_from_back(value.at, value.n, on_usage, context);
}

/* The last of `choices`, and `delta` of Anthropic's message_delta. */
static void on_choice(void *context, struct json_text name, struct json_text value, int is_cut)
{
    struct ending_facts *f = context;
    if (is_cut || !(json_text_is(name, "finish_reason") || json_text_is(name, "stop_reason")) || value.at[0] != '"')
        return;
    f->is_done = 1;
    note_reason(f, value);
}

/* The value ends an array of objects, and is seen from behind. */
static void look_into_choices(struct ending_facts *f, struct json_text value)
{
    if (value.n > 2 && value.at[value.n - 1] == ']')
        (void)json_from_back(value.at, value.n - 1, on_choice, f);
}

/* … where its beginning is not there: the usage stands behind all that was said. */
static void look_into_response(struct ending_facts *f, struct json_text value)
{
    if (value.n > 2 && value.at[value.n - 1] == '}')
        (void)json_from_back(value.at, value.n, on_response, f);
}

static int is_last_event(struct json_text type)
{
    static const char *const types[] = {"\"message_stop\"", "\"response.completed\"", "\"response.incomplete\"",
                                        "\"response.failed\"", "\"transcript.text.done\""};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (json_text_is(type, types[i]))
            return 1;
    return 0;
}

static int is_nothing(struct json_text value)
{
    return json_text_is(value, "null") || json_text_is(value, "\"\"");
}

static void on_metric(struct ending_facts *f, struct json_text name, struct json_text value)
{
    const struct {
        const char *name;
        int64_t *out;
    } metrics[] = {
        {"prompt_eval_count", &f->prompt_tokens_n}, {"eval_count", &f->tokens_n},
        {"total_duration", &f->total_ns},           {"load_duration", &f->load_ns},
        {"prompt_eval_duration", &f->prompt_ns},    {"eval_duration", &f->eval_ns},
    };
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (json_text_is(name, metrics[i].name))
            note_number(metrics[i].out, value);
}

static void on_member(void *context, struct json_text name, struct json_text value, int is_cut)
{
    struct ending_facts *f = context;
    if (json_text_is(name, "error") && name.at && !is_nothing(value)) {
        f->has_error = 1;
    } else if (is_cut) {
        look_into_choices(f, value);
        look_into_response(f, value);
    } else if (json_text_is(name, "done")) {
        f->is_done |= json_text_is(value, "true");
    } else if (json_text_is(name, "done_reason")) {
        note_reason(f, value);
    } else if (json_text_is(name, "type")) {
        f->is_done |= is_last_event(value);
        f->has_error |= json_text_is(value, "\"error\"") || json_text_is(value, "\"response.failed\"");
    } else if (json_text_is(name, "choices")) {
        look_into_choices(f, value);
    } else if (json_text_is(name, "delta")) {
        (void)json_from_back(value.at, value.n, on_choice, f);
    } else if (json_text_is(name, "usage")) {
        (void)json_from_back(value.at, value.n, on_usage, f);
    } else if (json_text_is(name, "response")) {
        (void)json_from_back(value.at, value.n, on_response, f);
    } else {
        on_metric(f, name, value);
    }
}

/* An object whose last bytes are here; head: its first ones where they are not among them. */
static void read_object(struct ending_facts *f, struct json_text tail, struct json_text head)
{
    if (!json_from_back(tail.at, tail.n, on_member, f))
        return; /* it is cut, or no object */
    json_from_front(head.at, head.n, on_member, f);
    if (f->total_ns >= 0) /* only the last line has it; `done` itself may lie between head and tail */
        f->is_done = 1;
}

static struct json_text without_data(struct json_text line)
{
    static const char data[] = "data:";
    if (line.n < sizeof data - 1 || memcmp(line.at, data, sizeof data - 1) != 0)
        return (struct json_text){line.at, 0};
    return (struct json_text){line.at + sizeof data - 1, line.n - (sizeof data - 1)};
}

static struct json_text trim(struct json_text p)
{
    while (p.n > 0 && strchr(" \t\r\n", p.at[p.n - 1]) && p.at[p.n - 1])
        p.n--;
    while (p.n > 0 && strchr(" \t\r\n", *p.at) && *p.at)
        p.at++, p.n--;
    return p;
}

/* Takes the last line off the text; is_whole: it begins in the text. */
static struct json_text take_line(struct json_text *text, int is_begin_known, int *is_whole)
{
    const char *before = text->n > 0 ? memrchr(text->at, '\n', text->n) : NULL;
    size_t line_at = before ? (size_t)(before + 1 - text->at) : 0;
    struct json_text line = {text->at + line_at, text->n - line_at};
    *is_whole = before || is_begin_known;
    text->n = before ? line_at - 1 : 0;
    return line;
}

/* From the last event to the first that is there whole. */
static void read_events(struct ending_facts *f, struct json_text text, struct json_text head, int is_begin_known)
{
    for (int is_last = 1; text.n > 0; is_last = 0) {
        int is_whole;
        struct json_text line = take_line(&text, is_begin_known, &is_whole);
        if (!is_whole && is_last)
            read_object(f, line, without_data(head));
        struct json_text data = is_whole ? trim(without_data(line)) : (struct json_text){line.at, 0};
        if (json_text_is(data, "[DONE]"))
            f->is_done = 1;
        else if (data.n > 0)
            read_object(f, data, (struct json_text){data.at, 0});
    }
}

static void on_start(void *context, struct json_text name, struct json_text value, int is_cut)
{
    struct ending_facts *f = context;
    if (json_text_is(name, "message") || json_text_is(name, "usage"))
        json_from_front(value.at, value.n, on_start, f);
    else if (!is_cut && json_text_is(name, "input_tokens"))
        note_number(&f->prompt_tokens_n, value);
}

/* What the first event says of the prompt, where the last ones have not. */
static void read_start(struct ending_facts *f, struct json_text head)
{
    for (struct json_text line; f->prompt_tokens_n < 0 && head.n > 0; head.at += line.n, head.n -= line.n) {
        const char *newline = memchr(head.at, '\n', head.n);
        line = (struct json_text){head.at, newline ? (size_t)(newline + 1 - head.at) : head.n};
        struct json_text data = trim(without_data(line));
        json_from_front(data.at, data.n, on_start, f);
    }
}

/* Behind the last place where it was said that more follows. */
static struct json_text behind_open(enum ending_form form, struct json_text text)
{
    const char *open = form == ENDING_NDJSON ? open_line : open_event;
    size_t open_n = form == ENDING_NDJSON ? OPEN_LINE_N : OPEN_EVENT_N;
    for (const char *at; (form == ENDING_NDJSON || form == ENDING_SSE) && text.n > 0 && (at = memmem(text.at, text.n, open, open_n));) {
        text.n -= (size_t)(at - text.at) + open_n;
        text.at = at + open_n;
    }
    return text;
}

/* The ring as text; how much there is. */
static size_t unroll(const struct ending *e, char bytes[ENDING_TAIL_BYTES])
{
    size_t kept_n = e->tail_n < ENDING_TAIL_BYTES ? e->tail_n : ENDING_TAIL_BYTES;
    size_t from = (e->tail_n - kept_n) % ENDING_TAIL_BYTES, first_n = ENDING_TAIL_BYTES - from;
    first_n = kept_n < first_n ? kept_n : first_n;
    memcpy(bytes, e->tail + from, first_n);
    memcpy(bytes + first_n, e->tail, kept_n - first_n);
    return kept_n;
}

size_t ending_whole(const struct ending *e, char out[ENDING_TAIL_BYTES])
{
    return e->tail_n <= ENDING_TAIL_BYTES ? unroll(e, out) : 0;
}

void ending_read(const struct ending *e, struct ending_facts *out)
{
    char bytes[ENDING_TAIL_BYTES];
    *out = (struct ending_facts){.prompt_tokens_n = -1, .tokens_n = -1, .total_ns = -1, .load_ns = -1, .prompt_ns = -1, .eval_ns = -1};
    if (e->form == ENDING_NONE || e->form == ENDING_ERROR)
        return;
    size_t kept_n = unroll(e, bytes);
    struct json_text text = behind_open(e->form, (struct json_text){bytes, kept_n}), head = {e->head, e->head_n};
    int is_begin_known = kept_n < ENDING_TAIL_BYTES || text.at > bytes, is_whole;
    if (e->form == ENDING_JSON) {
        read_object(out, text, head);
        return;
    }
    size_t ended_n = text.n;
    while (text.n > 0 && text.at[text.n - 1] == '\n')
        text.n--;
    if (ended_n - text.n > BLANK_LINES)
        return; /* the line before may be one that was dropped */
    if (e->form == ENDING_SSE || e->form == ENDING_MESSAGES) {
        int is_start = e->form == ENDING_MESSAGES;
        read_events(out, text, is_start ? (struct json_text){head.at, 0} : head, is_begin_known);
        if (is_start)
            read_start(out, head);
        return;
    }
    struct json_text line = take_line(&text, is_begin_known, &is_whole);
    read_object(out, line, is_whole ? (struct json_text){line.at, 0} : head);
}
