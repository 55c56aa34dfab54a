/* See known_list.h. Hashes of the models are added up, as a sum has no order. */
#include "proxy/known_list.h"

#include "common/hash.h"
#include "proxy/model_list.h"

#include <string.h>

/* A text in three parts: before the models, they themselves, behind them. */
struct list {
    struct json_value models;
    size_t before_n;
    size_t rows_n;
    uint64_t sum;
};

static int read_list(const char *json, size_t json_n, struct list *out)
{
    struct json_items items;
    struct json_value row;
    *out = (struct list){.rows_n = 0};
    if (model_list_find(json, json_n, &out->models) < 0)
        return 0;
    out->before_n = (size_t)(out->models.at - json);
    json_items_init(&items, &out->models);
    for (; json_items_next(&items, &row); out->rows_n++)
        out->sum += hash_bytes(HASH_START, row.at, row.n);
    return 1;
}

int known_list_is_same(const char *a, size_t a_n, const char *b, size_t b_n)
{
    struct list one, other;
    if (a_n != b_n || !read_list(a, a_n, &one) || !read_list(b, b_n, &other))
        return 0;
    if (one.before_n != other.before_n || one.models.n != other.models.n || one.rows_n != other.rows_n || one.sum != other.sum)
        return 0;
    size_t behind = one.before_n + one.models.n;
    return memcmp(a, b, one.before_n) == 0 && memcmp(a + behind, b + behind, a_n - behind) == 0;
}
