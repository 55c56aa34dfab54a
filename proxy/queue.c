/*
 * See queue.h. A lane is one model's line and slots. There is one for each model that somebody waits for or is served by,
 * and so never more of them than requests; a few are kept to be used again, so that a request whose slot is free costs no
 * allocation. Giving a slot away calls its new holder, who may do anything; so that happens in queue_review alone, whose
 * walk is along lanes that have both a slot and a waiter, and looks at each anew after every call.
 */
#include "proxy/queue.h"

#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

enum { SPARES_MAX = 16, MEAN_WEIGHT = 8 };

struct queue_lane {
    struct queue_lane *next; /* in its bucket, or among the spares */
    struct queue_lane *previous_due, *next_due;
    int is_due;
    size_t serving_n, waiting_n;
    struct queue_ticket *first, *last;
    uint32_t hash;
    size_t model_n;
    char model[CONTRACT_NAME_BYTES];
};

void queue_init(struct queue *q, size_t slots_n, struct waiting *waiting)
{
    *q = (struct queue){.slots_n = slots_n, .waiting = waiting};
}

void queue_fini(struct queue *q)
{
    while (q->spares) {
        struct queue_lane *lane = q->spares;
        q->spares = lane->next;
        free(lane);
    }
    q->spares_n = 0;
}

static struct queue_lane *find_lane(const struct queue *q, uint32_t hash, const char *model, size_t model_n)
{
    struct queue_lane *lane = q->buckets[hash % QUEUE_BUCKETS];
    while (lane && (lane->hash != hash || !model_name_equal(lane->model, lane->model_n, model, model_n)))
        lane = lane->next;
    return lane;
}

static struct queue_lane *add_lane(struct queue *q, uint32_t hash, const char *model, size_t model_n)
{
    struct queue_lane *lane = q->spares;
    if (lane) {
        q->spares = lane->next;
        q->spares_n--;
    } else if (!(lane = calloc(1, sizeof *lane))) {
        return NULL;
    }
    lane->hash = hash;
    lane->model_n = model_n;
    memcpy(lane->model, model, model_n);
    lane->next = q->buckets[hash % QUEUE_BUCKETS];
    q->buckets[hash % QUEUE_BUCKETS] = lane;
    return lane;
}

static void drop_lane(struct queue *q, struct queue_lane *lane)
{
    struct queue_lane **at = &q->buckets[lane->hash % QUEUE_BUCKETS];
    while (*at != lane)
        at = &(*at)->next;
    *at = lane->next;
    if (q->spares_n == SPARES_MAX) {
        free(lane);
        return;
    }
    lane->next = q->spares;
    q->spares = lane;
    q->spares_n++;
}

static void set_due(struct queue *q, struct queue_lane *lane, int is_due)
{
    if (lane->is_due == is_due)
        return;
    lane->is_due = is_due;
    if (is_due) {
        lane->next_due = NULL;
        lane->previous_due = q->due_last;
        *(q->due_last ? &q->due_last->next_due : &q->due_first) = lane;
        q->due_last = lane;
    } else {
        *(lane->previous_due ? &lane->previous_due->next_due : &q->due_first) = lane->next_due;
        *(lane->next_due ? &lane->next_due->previous_due : &q->due_last) = lane->previous_due;
    }
}

/* Its numbers have changed. */
static void settle(struct queue *q, struct queue_lane *lane)
{
    set_due(q, lane, lane->waiting_n > 0 && lane->serving_n < q->slots_n);
    if (lane->waiting_n == 0 && lane->serving_n == 0)
        drop_lane(q, lane);
}

static void take_slot(struct queue *q, struct queue_ticket *t, int64_t now_ms)
{
    t->has_slot = 1;
    t->since_ms = now_ms;
    t->lane->serving_n++;
    q->serving_n++;
}

static void stand_in_line(struct queue *q, struct queue_ticket *t)
{
    struct queue_lane *lane = t->lane;
    t->next = NULL;
    t->previous = lane->last;
    *(lane->last ? &lane->last->next : &lane->first) = t;
    lane->last = t;
    lane->waiting_n++;
    q->waiting_n++;
    q->waiting->now_n++;
}

static void step_out_of_line(struct queue *q, struct queue_ticket *t)
{
    struct queue_lane *lane = t->lane;
    *(t->previous ? &t->previous->next : &lane->first) = t->next;
    *(t->next ? &t->next->previous : &lane->last) = t->previous;
    t->previous = t->next = NULL;
    lane->waiting_n--;
    q->waiting_n--;
    q->waiting->now_n--;
}

enum queue_verdict queue_enter(struct queue *q, struct queue_ticket *t, const char *model, int is_accepted, int64_t now_ms)
{
    if (q->slots_n == 0 || t->has_slot)
        return QUEUE_GO;
    size_t model_n = strlen(model);
    uint32_t hash = model_name_hash(model, model_n);
    struct queue_lane *lane = find_lane(q, hash, model, model_n);
    int has_turn = !lane || (lane->waiting_n == 0 && lane->serving_n < q->slots_n);
    if (!has_turn && !is_accepted && waiting_is_full(q->waiting))
        return QUEUE_FULL;
    t->lane = lane ? lane : add_lane(q, hash, model, model_n);
    if (!t->lane)
        return QUEUE_NO_MEMORY;
    if (has_turn)
        take_slot(q, t, now_ms);
    else
        stand_in_line(q, t);
    return has_turn ? QUEUE_GO : QUEUE_WAIT;
}

/* A mean in which the last few weigh most. */
static void learn(struct queue *q, int64_t held_ms)
{
    int64_t held_us = held_ms > 0 ? held_ms * 1000 : 1;
    q->mean_us = q->mean_us ? q->mean_us + (held_us - q->mean_us) / MEAN_WEIGHT : held_us;
}

void queue_leave(struct queue *q, struct queue_ticket *t, int64_t now_ms)
{
    struct queue_lane *lane = t->lane;
    if (!lane)
        return;
    if (t->has_slot) {
        learn(q, now_ms - t->since_ms);
        t->has_slot = 0;
        lane->serving_n--;
        q->serving_n--;
    } else {
        step_out_of_line(q, t);
    }
    t->lane = NULL;
    settle(q, lane);
}

void queue_review(struct queue *q, int64_t now_ms)
{
    if (q->is_walking)
        return;
    q->is_walking = 1;
    while (q->due_first) {
        struct queue_ticket *t = q->due_first->first;
        step_out_of_line(q, t);
        take_slot(q, t, now_ms);
        settle(q, t->lane);
        t->fn(t->context);
    }
    q->is_walking = 0;
}

static const struct queue_lane *lane_of(const struct queue *q, const char *model)
{
    size_t model_n = strlen(model);
    return find_lane(q, model_name_hash(model, model_n), model, model_n);
}

size_t queue_free_n(const struct queue *q, const char *model)
{
    const struct queue_lane *lane = lane_of(q, model);
    size_t taken_n = lane ? lane->serving_n + lane->waiting_n : 0;
    if (q->slots_n == 0)
        return SIZE_MAX;
    return taken_n < q->slots_n ? q->slots_n - taken_n : 0;
}

int64_t queue_estimate_ms(const struct queue *q, const char *model)
{
    if (q->slots_n == 0 || q->mean_us == 0)
        return 0;
    const struct queue_lane *lane = lane_of(q, model);
    size_t rounds_n = (lane ? lane->waiting_n : 0) / q->slots_n + 1;
    return (q->mean_us * (int64_t)rounds_n + 999) / 1000;
}
