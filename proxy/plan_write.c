/*
 * See plan.h: the body that the answering model gets. Messages that stay are copied as they stand. Others become one of the system's that was
 * cut, a note in the place of the oldest turns, or the summaries of all that was mapped.
 */
#include "proxy/plan.h"

#include "common/utf8.h"
#include "proxy/history.h"
#include "proxy/json_write.h"
#include "proxy/plan_draft.h"
#include "proxy/splice_body.h"
#include "proxy/translation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    PART_FRAME_CHARS = 32, /* `[part 12 of 200]` and the line ends around it */
    INTRO_CHARS = 160,
    NAME_BYTES = 64, /* as many as a strategy's option may have */
};

#define CUT_MARK " […]"

/* All between the system's messages and the user's last one makes place for summaries. */
static void leave_out_mapped(struct plan_draft *d)
{
    const struct prompt *p = &d->prompt;
    size_t end_n = p->last_user < p->messages_n ? p->last_user : p->system_n;
    for (size_t i = p->system_n; i < end_n; i++) {
        d->chars_n -= i == p->task ? 0 : p->messages[i].chars_n;
        d->messages_n -= i != p->task;
    }
    d->from = end_n;
}

/* How many tokens are left for items_n summaries. */
static uint64_t room_for(const struct plan_draft *d, size_t items_n)
{
    uint64_t taken_n = token_count(d->line, d->chars_n + INTRO_CHARS + items_n * PART_FRAME_CHARS, d->messages_n + 1);
    return taken_n < d->budget_tokens_n ? d->budget_tokens_n - taken_n : 0;
}

uint64_t plan_summaries_room(struct plan *p, const struct plan_rules *rules, const char *json, size_t json_n, size_t items_n)
{
    struct plan_draft d;
    uint64_t room_n = 0;
    if (plan_draft_begin(&d, p, rules, json, json_n) == 0) {
        leave_out_mapped(&d);
        room_n = p->num_ctx ? room_for(&d, items_n) : UINT64_MAX;
    }
    plan_draft_end(&d);
    return room_n;
}

static uint64_t capped_chars(const size_t *chars_n, size_t items_n, size_t cap_n)
{
    uint64_t sum_n = 0;
    for (size_t i = 0; i < items_n; i++)
        sum_n += chars_n[i] < cap_n ? chars_n[i] : cap_n;
    return sum_n;
}

/* How many characters each summary may have, so that together they fit: those that are short leave room to the others. */
static size_t fair_chars(const struct plan_draft *d, const struct plan_parts *parts)
{
    uint64_t most_n = d->plan->num_ctx ? token_chars(d->line, room_for(d, parts->items_n)) : UINT64_MAX;
    size_t chars_n[PLAN_PARTS_MAX], low = 0, high = (size_t)most_n;
    for (size_t i = 0; i < parts->items_n; i++)
        chars_n[i] = utf8_count(parts->items[i].at, parts->items[i].n);
    if (capped_chars(chars_n, parts->items_n, SIZE_MAX) <= most_n)
        return SIZE_MAX;
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (capped_chars(chars_n, parts->items_n, middle) <= most_n)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void begin_message(struct json_write *w, const char *role)
{
    json_write_text(w, "{\"role\":\"");
    json_write_text(w, role);
    json_write_text(w, "\",\"content\":\"");
}

/* What is quoted counts as it is decoded. */
static uint64_t quote(struct json_write *w, const char *text, size_t n)
{
    json_write_quoted(w, text, n);
    return utf8_count(text, n);
}

static void write_summaries(struct plan_draft *d, const struct plan_parts *parts, struct json_write *w)
{
    size_t cap_n = fair_chars(d, parts);
    char line[INTRO_CHARS];
    begin_message(w, "user");
    snprintf(line, sizeof line, "[The conversation before this was long. Here are summaries of its %zu part%s, in their order.]", parts->items_n,
             parts->items_n == 1 ? "" : "s");
    d->chars_n += quote(w, line, strlen(line));
    for (size_t i = 0; i < parts->items_n; i++) {
        const struct json_text *part = &parts->items[i];
        size_t n = cap_n == SIZE_MAX ? part->n : (size_t)(utf8_skip(part->at, part->n, cap_n) - part->at);
        snprintf(line, sizeof line, "\n\n[part %zu of %zu]\n", i + 1, parts->items_n);
        d->chars_n += quote(w, line, strlen(line)) + quote(w, part->at, n);
        if (n < part->n)
            d->chars_n += quote(w, CUT_MARK, strlen(CUT_MARK));
    }
    json_write_text(w, "\"}");
    d->messages_n++;
}

/* The oldest turns, where the prompt is too long with them. */
static void shorten(struct plan_draft *d, char note[HISTORY_NOTE_BYTES])
{
    struct history_cut cut = history_cut(&d->prompt, d->line, d->chars_n, d->messages_n, d->budget_tokens_n);
    *note = '\0';
    d->plan->turns_dropped_n = cut.turns_n;
    if (cut.messages_n == 0)
        return;
    history_note(&cut, note);
    d->from = cut.end_n;
    d->chars_n = d->chars_n - cut.chars_n + strlen(note);
    d->messages_n = d->messages_n - cut.messages_n + 1;
}

/* The messages as they stand, commas between them. */
static void copy(const struct plan_draft *d, size_t from, size_t to, struct json_write *w)
{
    if (from >= to)
        return;
    const struct json_value *first = &d->prompt.messages[from].whole, *last = &d->prompt.messages[to - 1].whole;
    json_write_bytes(w, first->at, (size_t)(last->at + last->n - first->at));
}

static void separate(struct json_write *w)
{
    const char *written = buf_data(w->out);
    size_t n = buf_size(w->out);
    if (!w->error && n > 0 && written[n - 1] != '[')
        json_write_text(w, ",");
}

static void write_system(struct plan_draft *d, struct json_write *w)
{
    if (!d->plan->is_truncated) {
        copy(d, 0, d->prompt.system_n, w);
        return;
    }
    begin_message(w, "system");
    json_write_quoted(w, buf_data(&d->system), buf_size(&d->system));
    json_write_text(w, "\"}");
    if (d->own_n < d->prompt.system_n) {
        separate(w);
        copy(d, d->own_n, d->prompt.system_n, w);
    }
}

static void write_messages(struct plan_draft *d, const struct plan_parts *summaries, struct json_write *w)
{
    char note[HISTORY_NOTE_BYTES] = "";
    size_t messages_n = d->prompt.messages_n;
    json_write_text(w, "[");
    write_system(d, w);
    if (summaries) {
        leave_out_mapped(d);
        separate(w);
        write_summaries(d, summaries, w);
    } else {
        shorten(d, note);
    }
    if (*note) {
        separate(w);
        begin_message(w, "user");
        json_write_quoted(w, note, strlen(note));
        json_write_text(w, "\"}");
    }
    if (d->prompt.task < d->from) {
        separate(w);
        copy(d, d->prompt.task, d->prompt.task + 1, w);
    }
    if (d->from < messages_n) {
        separate(w);
        copy(d, d->from, messages_n, w);
    }
    json_write_text(w, "]");
}

/* Of the strategy's options num_ctx is as it says, others are what the client has not said. */
static enum json_edit_mode mode_of(const struct plan_draft *d, const char *name)
{
    unsigned unsaid = d->rules->unsaid;
    int is_unsaid = (strcmp(name, "temperature") == 0 && (unsaid & TRANSLATE_UNSAID_TEMPERATURE)) ||
                    (strcmp(name, "top_p") == 0 && (unsaid & TRANSLATE_UNSAID_TOP_P));
    return is_unsaid || strcmp(name, "num_ctx") == 0 ? JSON_SET : JSON_SET_ABSENT;
}

/* Model and options, as many at once as an edit takes. No model's name has anything to escape: conf_strategies.c. */
static int set_members(const struct plan_draft *d, struct buf *body)
{
    char model[CONTRACT_NAME_BYTES + 2], names[JSON_EDITS_MAX][NAME_BYTES];
    struct json_edit items[JSON_EDITS_MAX] = {{0, "model", model, JSON_SET}};
    struct json_edits all = {.inner = "options", .items = items, .items_n = 1};
    size_t options_n = d->plan->strategy->options.items_n;
    int error = 0;
    snprintf(model, sizeof model, "\"%s\"", d->plan->model);
    for (size_t i = 0; i < options_n && !error; i++) {
        struct conf_option option;
        char *name = names[all.items_n];
        conf_strategy_option_at(d->plan->strategy, i, &option);
        snprintf(name, NAME_BYTES, "%.*s", (int)option.name_n, option.name);
        items[all.items_n++] = (struct json_edit){1, name, option.json, mode_of(d, name)};
        if (all.items_n < JSON_EDITS_MAX)
            continue;
        error = splice_body(body, &all);
        all.items_n = 0;
    }
    return error || all.items_n == 0 ? error : splice_body(body, &all);
}

static int write_body(struct plan_draft *d, const struct plan_parts *summaries, struct json_text json, struct buf *out)
{
    const struct json_value *messages = &d->prompt.whole;
    struct json_write w = json_write_begin(out);
    json_write_bytes(&w, json.at, (size_t)(messages->at - json.at));
    write_messages(d, summaries, &w);
    json_write_bytes(&w, messages->at + messages->n, (size_t)(json.at + json.n - messages->at) - messages->n);
    int error = json_write_end(&w);
    return error ? error : set_members(d, out);
}

/* What is left may still be too long: tools, the system's words, what the user said last. */
static int judge(struct plan_draft *d, char *why)
{
    struct plan *plan = d->plan;
    uint64_t received_n = token_count(d->line, plan->received.chars_n, plan->received.messages_n);
    plan->sent = (struct prompt_counts){.chars_n = d->chars_n, .messages_n = d->messages_n, .tokens_n = token_count(d->line, d->chars_n, d->messages_n)};
    plan->saved_tokens_n = received_n > plan->sent.tokens_n ? received_n - plan->sent.tokens_n : 0;
    if (plan->num_ctx == 0 || plan->sent.tokens_n <= plan->num_ctx)
        return 0;
    snprintf(why, PLAN_WHY_BYTES,
             "the prompt is too long: tool definitions, the system's prompt, the last message of the user and what is behind it have about %llu tokens alone, "
             "and num_ctx of strategy %s is %llu; send less of them, or raise num_ctx in [strategy:%s] options",
             (unsigned long long)plan->sent.tokens_n, plan->strategy->name, (unsigned long long)plan->num_ctx, plan->strategy->name);
    return -E2BIG;
}

int plan_write(struct plan *p, const struct plan_rules *rules, const char *json, size_t json_n, const struct plan_parts *summaries,
               struct buf *out, char *why)
{
    struct plan_draft d;
    int error = plan_draft_begin(&d, p, rules, json, json_n);
    error = error ? error : write_body(&d, summaries, (struct json_text){json, json_n}, out);
    if (error == -E2BIG) {
        snprintf(why, PLAN_WHY_BYTES, "the body names its model, or an option of strategy %s, again and again", p->strategy->name);
        error = -EINVAL;
    } else if (error == -EINVAL) {
        snprintf(why, PLAN_WHY_BYTES, "messages: what they say can't be read");
    }
    error = error ? error : judge(&d, why);
    if (error)
        buf_truncate(out, 0);
    plan_draft_end(&d);
    return error;
}
