/* See optimizer.h. */
#include "proxy/optimizer.h"

void optimizer_init(struct optimizer *o, const struct conf *conf)
{
    *o = (struct optimizer){0};
    (void)conf;
    optimizer_stats_init(&o->stats);
}

void optimizer_fini(struct optimizer *o)
{
    (void)o;
}
