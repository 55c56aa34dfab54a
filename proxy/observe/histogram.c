/* See histogram.h. */
#include "proxy/observe/histogram.h"

const struct histogram_bounds histogram_waits = {
    1000, 13, {50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000, 300000, 600000}};

const struct histogram_bounds histogram_tokens = {
    1000000, 12, {2000, 5000, 10000, 20000, 35000, 50000, 75000, 100000, 200000, 500000, 1000000, 5000000}};

void histogram_add(struct histogram *h, const struct histogram_bounds *by, int64_t value)
{
    size_t i = 0;
    if (value < 0)
        return;
    while (i < by->bounds_n && value > by->bounds[i])
        i++;
    h->counts[i]++;
    h->n++;
    h->sum += (uint64_t)value;
}
