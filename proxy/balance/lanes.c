/* See lanes.h. There is never more than one lane for each request; a few are kept to be used again. */
#include "proxy/balance/lanes.h"

#include "common/parse.h"

#include <stdlib.h>
#include <string.h>

void lanes_free(struct lanes *ls)
{
    while (ls->spares) {
        struct balance_lane *lane = ls->spares;
        ls->spares = lane->next;
        free(lane);
    }
    ls->spares_n = 0;
}

struct balance_lane *lanes_take(struct lanes *ls, const char *model)
{
    size_t model_n = strlen(model);
    uint32_t hash = model_name_hash(model, model_n);
    struct balance_lane **bucket = &ls->buckets[hash % LANES_BUCKETS], *lane = *bucket;
    while (lane && (lane->hash != hash || !model_name_equal(lane->model, lane->model_n, model, model_n)))
        lane = lane->next;
    if (lane)
        return lane;
    if (ls->spares) {
        lane = ls->spares;
        ls->spares = lane->next;
        ls->spares_n--;
    } else if (!(lane = malloc(sizeof *lane))) {
        return NULL;
    }
    *lane = (struct balance_lane){.next = *bucket, .hash = hash, .model_n = model_n};
    memcpy(lane->model, model, model_n + 1);
    *bucket = lane;
    return lane;
}

struct balance_lane *lanes_waited(const struct lanes *ls, uint32_t hash)
{
    struct balance_lane *lane = ls->buckets[hash % LANES_BUCKETS];
    while (lane && (lane->hash != hash || !lane->line.root))
        lane = lane->next;
    return lane;
}

void lanes_add(struct lanes *ls, struct balance_ticket *t)
{
    struct balance_lane *lane = t->lane;
    if (!lane->line.root) {
        lane->previous_waited = NULL;
        lane->next_waited = ls->waited;
        if (ls->waited)
            ls->waited->previous_waited = lane;
        ls->waited = lane;
        ls->waited_n++;
    }
    line_add(&lane->line, t);
    ls->waiting_n++;
}

void lanes_remove(struct lanes *ls, struct balance_ticket *t)
{
    struct balance_lane *lane = t->lane;
    line_remove(&lane->line, t);
    ls->waiting_n--;
    if (lane->line.root)
        return;
    *(lane->previous_waited ? &lane->previous_waited->next_waited : &ls->waited) = lane->next_waited;
    if (lane->next_waited)
        lane->next_waited->previous_waited = lane->previous_waited;
    ls->waited_n--;
}

void lanes_settle(struct lanes *ls, struct balance_lane *lane)
{
    if (lane->line.root || lane->serving_n > 0)
        return;
    struct balance_lane **at = &ls->buckets[lane->hash % LANES_BUCKETS];
    while (*at != lane)
        at = &(*at)->next;
    *at = lane->next;
    if (ls->spares_n == LANES_SPARES) {
        free(lane);
        return;
    }
    lane->next = ls->spares;
    ls->spares = lane;
    ls->spares_n++;
}

void lanes_walk(struct lanes *ls, size_t depth_n)
{
    for (struct balance_lane *lane = ls->waited; lane; lane = lane->next_waited) {
        lane->at = line_first(&lane->line);
        lane->left_n = depth_n;
    }
}

struct balance_ticket *lanes_next(struct lanes *ls)
{
    struct balance_lane *first = NULL;
    for (struct balance_lane *lane = ls->waited; lane; lane = lane->next_waited)
        if (lane->at && lane->left_n > 0 && (!first || line_is_before(lane->at, first->at)))
            first = lane;
    if (!first)
        return NULL;
    struct balance_ticket *t = first->at;
    first->at = line_next(t);
    first->left_n--;
    return t;
}
