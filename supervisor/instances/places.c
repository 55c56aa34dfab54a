/* See places.h. */
#include "supervisor/instances/places.h"

#include <string.h>

struct child *places_child_at(struct instances *in, size_t n)
{
    return in && n < CONTRACT_INSTANCES && in->items[n].is_made ? &in->items[n].child : NULL;
}

int place_is_taken(const struct instance *i)
{
    return i->told.state != CONTRACT_DOWN && i->told.state != CONTRACT_FAILED;
}

unsigned places_taken_n(const struct instances *in)
{
    unsigned n = 0;
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++)
        n += place_is_taken(&in->items[i]) != 0;
    return n;
}

struct instance *places_find(struct instances *in, const char *model)
{
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++)
        if (place_is_taken(&in->items[i]) && strcmp(in->items[i].told.model, model) == 0)
            return &in->items[i];
    return NULL;
}

struct instance *places_free(struct instances *in, const char *model)
{
    struct instance *oldest = NULL;
    for (size_t n = 0; n < CONTRACT_INSTANCES; n++) {
        struct instance *i = &in->items[n];
        if (place_is_taken(i))
            continue;
        if (strcmp(i->told.model, model) == 0)
            return i;
        if (!oldest || i->told.number < oldest->told.number)
            oldest = i;
    }
    return oldest;
}

int places_is_spoken_for(void *context, uint16_t port)
{
    const struct instances *in = context;
    for (size_t i = 0; i < CONTRACT_INSTANCES; i++)
        if (place_is_taken(&in->items[i]) && in->items[i].told.port == port)
            return 1;
    return 0;
}
