/* An answer to GET /api/tags, and behind a byte 0x1e the name that is looked for. */
#include "preload/tags.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *mark = memchr(data, 0x1e, size);
    size_t json_n = mark ? (size_t)(mark - data) : size, name_n = mark ? size - json_n - 1 : 0;
    char *name = malloc(name_n + 1), *json = malloc(json_n ? json_n : 1);
    if (!name || !json)
        return 0;
    memcpy(name, mark ? mark + 1 : data, name_n);
    name[name_n] = '\0';
    memcpy(json, data, json_n);
    struct tags *tags = tags_new(json, json_n);
    if (tags && tags_has(tags, name) && !memmem(json, json_n, "name", 4) && !memmem(json, json_n, "model", 5) && !memchr(json, '\\', json_n))
        abort();
    tags_free(&tags);
    free(name);
    free(json);
    return 0;
}
