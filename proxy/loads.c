/*
 * See loads.h. A row is known by its model's name, as Ollama takes it; hashes are side by side, so that looking for one costs
 * 256 bytes of memory. Rows are given away by their last use, but for those that somebody depends on.
 */
#include "proxy/loads.h"

#include "common/parse.h"
#include "proxy/ask.h"

#include <string.h>

enum { KEEP_ALIVE_MS = 5 * 60 * 1000 }; /* Ollama's own, where nobody says another */

void loads_init(struct loads *l, int64_t keep_alive_ms, struct waiting *waiting)
{
    *l = (struct loads){.waiting = waiting, .keep_alive_ms = keep_alive_ms};
    l->is_keep_known = keep_alive_ms != ASK_KEEP_UNSAID;
    if (!l->is_keep_known)
        l->keep_alive_ms = KEEP_ALIVE_MS;
}

static struct load *find(struct loads *l, const char *model, size_t model_n, uint32_t hash)
{
    for (size_t i = 0; i < LOADS_MODELS; i++) {
        struct load *row = &l->rows[i];
        if (l->hashes[i] == hash && row->model[0] && model_name_equal(row->model, strlen(row->model), model, model_n))
            return row;
    }
    return NULL;
}

static int is_needed(const struct load *row)
{
    return row->state == LOAD_LOADING || row->answering_n > 0 || row->first || row->is_telling;
}

/* What nobody knows anything of goes before what is known, else the longest unused. */
static int is_spare_before(const struct load *a, const struct load *b)
{
    int is_known = a->state != LOAD_UNKNOWN, is_other_known = b->state != LOAD_UNKNOWN;
    return is_known != is_other_known ? !is_known : a->used_ms < b->used_ms;
}

/* The model's row, a new one where it has none; NULL where each row is needed, or the model has no name. */
static struct load *row_of(struct loads *l, const char *model, int64_t now_ms)
{
    size_t model_n = strlen(model), best = LOADS_MODELS;
    if (model_n == 0 || model_n >= CONTRACT_NAME_BYTES)
        return NULL;
    uint32_t hash = model_name_hash(model, model_n);
    struct load *row = find(l, model, model_n, hash);
    if (row) {
        row->used_ms = now_ms;
        return row;
    }
    for (size_t i = 0; i < LOADS_MODELS; i++)
        if (!is_needed(&l->rows[i]) && (best == LOADS_MODELS || is_spare_before(&l->rows[i], &l->rows[best])))
            best = i;
    char why[PARSE_WHY_BYTES];
    if (best == LOADS_MODELS || parse_model_name(model, why) < 0) /* which Ollama says itself */
        return NULL;
    row = &l->rows[best];
    *row = (struct load){.used_ms = now_ms, .keep_alive_ms = l->keep_alive_ms};
    memcpy(row->model, model, model_n);
    l->hashes[best] = hash;
    return row;
}

static int64_t behind_ms(int64_t now_ms, int64_t keep_alive_ms)
{
    return keep_alive_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + keep_alive_ms;
}

/* Whether it is loaded for certain. */
static int is_there(const struct load *row, int64_t now_ms)
{
    return row->state == LOAD_LOADED && (row->answering_n > 0 || now_ms < row->until_ms - LOADS_MARGIN_MS);
}

static void stand(struct load *row, struct load_ticket *t)
{
    t->load = row;
    t->turn = row->turn;
    t->next = NULL;
    t->previous = row->last;
    *(row->last ? &row->last->next : &row->first) = t;
    row->last = t;
}

void loads_leave(struct loads *l, struct load_ticket *t)
{
    struct load *row = t->load;
    if (!row)
        return;
    *(t->previous ? &t->previous->next : &row->first) = t->next;
    *(t->next ? &t->next->previous : &row->last) = t->previous;
    t->previous = t->next = NULL;
    t->load = NULL;
    if (t->is_counted)
        l->waiting->now_n--;
    t->is_counted = 0;
}

static enum load_verdict join(struct loads *l, struct load *row, struct load_ticket *t)
{
    if (!t->is_accepted && waiting_is_full(l->waiting))
        return LOAD_FULL;
    stand(row, t);
    t->is_counted = 1;
    l->waiting->now_n++;
    return LOAD_WAIT;
}

static int fits(const struct load *row, const struct load_wish *wish, struct load_ride *ride)
{
    return load_options_fit(&wish->options, &wish->terms, &row->options, &ride->options, &ride->dropped);
}

/* What is to be loaded for this wish, with what is known of the model now. */
static struct load_options options_for(const struct load *row, const struct load_wish *wish, int64_t now_ms)
{
    int may_stay = row->is_perhaps && now_ms < row->until_ms;
    struct load_options options = wish->options;
    struct load_ride ignored;
    if (is_there(row, now_ms) || (may_stay && !fits(row, wish, &ignored)))
        load_options_merge(&wish->options, wish->terms.fixed, &row->options, &options);
    else if (may_stay)
        options = row->options;
    return options;
}

/* Who begins a load is not counted among those who wait: he is at work, as if he were with the backend. */
static enum load_verdict begin(struct loads *l, struct load *row, struct load_ticket *t, int64_t now_ms)
{
    struct load_options options = options_for(row, &t->wish, now_ms);
    enum load_verdict verdict = l->may ? l->may(l->may_context, row->model, &options) : LOAD_BEGIN;
    if (verdict != LOAD_BEGIN)
        return verdict;
    row->before = (struct load_before){row->state, row->options, row->is_perhaps};
    row->options = options;
    row->is_perhaps = 0;
    row->wish = t->wish;
    row->state = LOAD_LOADING;
    row->begun_ms = now_ms;
    row->is_load_doubted = 0;
    l->loading_n++;
    stand(row, t);
    return LOAD_BEGIN;
}

enum load_verdict loads_look(struct loads *l, struct load_ticket *t, const char *model, int must_fit, int64_t now_ms,
                             struct load **load, struct load_ride *ride)
{
    struct load *row = row_of(l, model, now_ms);
    *ride = (struct load_ride){.keep_alive_ms = ASK_KEEP_UNSAID};
    *load = row;
    if (!row)
        return LOAD_GO;
    if (row->state == LOAD_LOADING)
        return join(l, row, t);
    if (!is_there(row, now_ms) || (must_fit && !fits(row, &t->wish, ride)))
        return begin(l, row, t, now_ms);
    if (must_fit && row->is_keep_ours && l->is_keep_known && t->wish.keep_alive_ms == ASK_KEEP_UNSAID)
        ride->keep_alive_ms = l->keep_alive_ms;
    return LOAD_GO;
}

/* Whether it was told that its model is not to be kept long enough for the request that follows. */
static int is_too_short(const struct loads *l, int64_t keep_alive_ms)
{
    return (keep_alive_ms == ASK_KEEP_UNSAID ? l->keep_alive_ms : keep_alive_ms) < LOADS_KEEP_LEAST_MS;
}

int64_t loads_keep_alive_ms(const struct loads *l, const struct load *load)
{
    return is_too_short(l, load->wish.keep_alive_ms) ? LOADS_KEEP_LEAST_MS : load->wish.keep_alive_ms;
}

static void settle(struct loads *l, struct load *row, const struct load_result *result, int64_t now_ms)
{
    int64_t keep_alive_ms = loads_keep_alive_ms(l, row);
    int is_known = result->end == LOAD_ENDED_WELL && !row->is_load_doubted;
    if (result->is_untried && !row->is_load_doubted) {
        row->state = row->before.state;
        row->options = row->before.options;
        row->is_perhaps = row->before.is_perhaps;
        return;
    }
    row->state = is_known ? LOAD_LOADED : LOAD_UNKNOWN;
    if (!is_known)
        return;
    row->is_keep_ours = is_too_short(l, row->wish.keep_alive_ms);
    row->keep_alive_ms = keep_alive_ms == ASK_KEEP_UNSAID ? l->keep_alive_ms : keep_alive_ms;
    row->until_ms = behind_ms(now_ms, row->keep_alive_ms);
    if (now_ms - row->begun_ms >= LOADS_INSTANT_MS)
        loads_forget_idle(l, row);
}

void loads_end(struct loads *l, struct load *load, const struct load_result *result, int64_t now_ms)
{
    static const struct load_result look_again = {.end = LOAD_ENDED_WELL};
    const struct load_options failed = load->wish.options;
    int is_more = !load_options_equal(&failed, &load->options);
    unsigned turn = load->turn++;
    l->loading_n--;
    settle(l, load, result, now_ms);
    load->is_telling = 1;
    while (load->first && load->first->turn == turn) {
        struct load_ticket *t = load->first;
        int is_others = result->end == LOAD_ENDED_FAILED && (is_more || !load_options_equal(&t->wish.options, &failed));
        loads_leave(l, t);
        t->fn(t->context, is_others ? &look_again : result);
    }
    load->is_telling = 0;
}

static void forget(struct load *row)
{
    if (row->state == LOAD_LOADED)
        row->state = LOAD_UNKNOWN;
    row->is_perhaps = 0;
}

static void doubt(struct load *row)
{
    int is_perhaps = row->is_perhaps || row->state == LOAD_LOADED;
    forget(row);
    row->is_perhaps = is_perhaps;
}

struct load *loads_answer(struct loads *l, const char *model, int64_t now_ms)
{
    struct load *row = row_of(l, model, now_ms);
    if (row)
        row->answering_n++;
    return row;
}

void loads_answered(struct loads *l, struct load *load, const struct load_wish *wish, enum load_answer how, int64_t now_ms)
{
    int is_doubted = load->is_answer_doubted;
    load->answering_n--;
    if (load->answering_n == 0)
        load->is_answer_doubted = 0;
    if (how == LOAD_ANSWER_BAD || (is_doubted && load->answering_n == 0)) { /* what was unloaded goes behind the last answer */
        forget(load);
        return;
    }
    if (how == LOAD_ANSWER_NONE)
        return;
    if (how == LOAD_ANSWER_WELL && load->state == LOAD_UNKNOWN && !is_doubted) {
        load->state = LOAD_LOADED;
        load->options = wish->options;
        load->keep_alive_ms = l->keep_alive_ms;
        load->is_keep_ours = load->is_perhaps = 0;
    }
    if (wish->keep_alive_ms != ASK_KEEP_UNSAID) {
        load->keep_alive_ms = wish->keep_alive_ms;
        load->is_keep_ours = 0;
    }
    load->until_ms = behind_ms(now_ms, load->keep_alive_ms);
}

void loads_forget(struct loads *l, const char *model)
{
    size_t model_n = strlen(model);
    struct load *row = find(l, model, model_n, model_name_hash(model, model_n));
    if (!row)
        return;
    forget(row);
    row->is_load_doubted = row->state == LOAD_LOADING;
    row->is_answer_doubted = row->answering_n > 0;
}

void loads_forget_all(struct loads *l)
{
    for (size_t i = 0; i < LOADS_MODELS; i++)
        forget(&l->rows[i]);
}

void loads_doubt_all(struct loads *l)
{
    for (size_t i = 0; i < LOADS_MODELS; i++)
        doubt(&l->rows[i]);
}

void loads_forget_idle(struct loads *l, const struct load *but)
{
    for (size_t i = 0; i < LOADS_MODELS; i++)
        if (&l->rows[i] != but && l->rows[i].answering_n == 0)
            doubt(&l->rows[i]);
}
