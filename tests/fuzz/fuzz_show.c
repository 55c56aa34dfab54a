/* An answer to POST /api/show, what is estimated of it, and what it says that the model is able to. */
#include "proxy/capabilities.h"
#include "proxy/model_shape.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct estimate_server server = {.context_n = 4096, .parallel_n = 3, .cache_bytes = ESTIMATE_CACHE_Q8};
    struct load_options asked = {.set = 0};
    struct model_shape shape;
    struct estimate all, half;
    char *json = malloc(size ? size : 1);
    if (!json)
        return 0;
    memcpy(json, data, size);
    int error = model_shape_read(&shape, json, size);
    if (capabilities_read(json, size) & ~(unsigned)CAPABILITIES_ALL)
        abort();
    free(json);
    if (error)
        return 0;
    const int64_t numbers[] = {shape.layers_n, shape.embedding_n, shape.feed_forward_n, shape.heads_n,  shape.heads_kv_n,   shape.key_n,
                               shape.value_n,  shape.vocabulary_n, shape.context_n,     shape.window_n, shape.cached_n};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i] < 0 || numbers[i] > ESTIMATE_NUM_MAX)
            abort();
    load_options_set(&asked, LOAD_NUM_CTX, 8192);
    if (estimate_make(&all, &shape, &asked, &server) < 0)
        return 0;
    load_options_set(&asked, LOAD_NUM_CTX, 4096);
    if (estimate_make(&half, &shape, &asked, &server) < 0 || half.total_bytes > all.total_bytes || half.total_bytes < 0)
        abort(); /* a smaller context takes no more */
    load_options_set(&asked, LOAD_NUM_CTX, estimate_fitting_num_ctx(&shape, &asked, &server, all.total_bytes));
    if (asked.values[LOAD_NUM_CTX] > 0 && (estimate_make(&half, &shape, &asked, &server) < 0 || half.total_bytes > all.total_bytes))
        abort();
    return 0;
}
