/*
 * GET /api/tags answers {"models":[{"name", "model", …}]}. The list is what an Ollama says it has, so it decides
 * what needs no pull and whether a pull that ended in success really did. Items of another shape are passed over.
 */
#include "preload/tags.h"

#include "common/parse.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

struct tags {
    cJSON *answer;
};

struct tags *tags_new(const char *text, size_t text_n)
{
    struct tags *tags = calloc(1, sizeof *tags);
    if (!tags)
        return NULL;
    tags->answer = cJSON_ParseWithLength(text, text_n);
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(tags->answer, "models");
    if (!cJSON_IsArray(models) && !cJSON_IsNull(models)) /* an empty list was null in some versions */
        tags_free(&tags);
    return tags;
}

void tags_free(struct tags **tags)
{
    if (*tags)
        cJSON_Delete((*tags)->answer);
    free(*tags);
    *tags = NULL;
}

static int is_named(const cJSON *item, const char *key, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, key);
    return cJSON_IsString(value) &&
           model_name_equal(value->valuestring, strlen(value->valuestring), name, strlen(name));
}

int tags_has(const struct tags *tags, const char *name)
{
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(tags->answer, "models");
    const cJSON *item;
    cJSON_ArrayForEach(item, models)
    {
        if (is_named(item, "name", name) || is_named(item, "model", name))
            return 1;
    }
    return 0;
}
