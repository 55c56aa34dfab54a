/*
 * Answers to GET /v1/models or /api/tags, one behind the other, with a byte 0x1e between them. What is counted is bounded, each name
 * that was taken is found, once; what is no list changes nothing; narrowed to some names, no others are left.
 */
#include "proxy/upstream_models.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static void check(int is_right)
{
    if (!is_right)
        abort();
}

static void check_rows(const struct upstream_models *m)
{
    struct upstream_model at = {.name = NULL}, found;
    size_t models_n = 0;
    check(m->models_n <= UPSTREAM_MODELS_N && buf_size(&m->rows) <= UPSTREAM_MODELS_BYTES);
    for (; upstream_models_next(m, &at); models_n++) {
        check(*at.name && strlen(at.name) < UPSTREAM_NAME_BYTES && strlen(at.owner) < UPSTREAM_NAME_BYTES);
        check(upstream_models_find(m, at.name, 0, &found) && found.name == at.name);
        check(upstream_models_find(m, at.name, 1, &found));
    }
    check(models_n == m->models_n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char pattern[] = "a*", named[] = "named";
    char *items[] = {pattern, named};
    const struct list names = {.items = items, .items_n = 2};
    struct upstream_models m;
    struct upstream_model at = {.name = NULL};
    const char *json = (const char *)data, *end = json + size;
    upstream_models_init(&m);
    while (json <= end) {
        const char *mark = memchr(json, 0x1e, (size_t)(end - json));
        size_t json_n = (size_t)((mark ? mark : end) - json), before_n = m.models_n;
        int error = upstream_models_read(&m, json, json_n, "owner");
        check(error == 0 || error == -EINVAL || error == -ENOMEM);
        check(error == 0 || m.models_n == before_n);
        check_rows(&m);
        json = mark ? mark + 1 : end + 1;
    }
    if (upstream_models_narrow(&m, &names, "owner") == 0) {
        check_rows(&m);
        while (upstream_models_next(&m, &at))
            check(conf_names_model(&names, at.name, strlen(at.name)));
    }
    upstream_models_fini(&m);
    return 0;
}
