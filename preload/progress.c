/*
 * Reads the lines of POST /api/pull (Ollama docs/api.md, "Pull a Model"): {"status", "digest", "total", "completed"}
 * or {"error"}. Ollama sends a line every 60 ms whether bytes come or not, so lines are no sign of life here: only
 * a layer that grows beyond what it ever had, a new layer, or a later stage is.
 *
 * Numbers are not trusted: negative, absurd and fractional ones are cut to what can be. A retry starts where the
 * partial files end, which is why a layer's first figure counts as its base and not as speed.
 *
 * Invariant: `grown` and `moved` never shrink; completed <= total wherever a total is known.
 */
#include "preload/progress.h"

#include "preload/text.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

static const double number_max = 9007199254740992.0; /* 2^53: beyond, doubles are no whole numbers */

void progress_init(struct progress *p)
{
    memset(p, 0, sizeof *p);
}

static void sample(struct progress *p, int64_t now_ms)
{
    size_t n = p->samples_n;
    if (n > 0 && now_ms - p->samples[n - 1].at_ms < PROGRESS_SAMPLE_MS)
        return;
    if (n == PROGRESS_SAMPLES) {
        memmove(p->samples, p->samples + 1, (n - 1) * sizeof *p->samples);
        n--;
    }
    p->samples[n].at_ms = now_ms;
    p->samples[n].moved = p->moved;
    p->samples_n = n + 1;
}

void progress_begin(struct progress *p, int64_t now_ms)
{
    p->stage = PROGRESS_MANIFEST;
    p->grown_before = p->grown;
    p->alive_at_ms = now_ms;
    p->samples_n = 0;
    p->garbage_n = 0;
    p->garbage[0] = '\0';
    p->error[0] = '\0';
}

static uint64_t number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble) || item->valuedouble < 1)
        return 0;
    return item->valuedouble > number_max ? (uint64_t)number_max : (uint64_t)item->valuedouble;
}

/* The layer of this digest; a new one where it was not seen, the last place where there is no room. */
static struct progress_layer *find_layer(struct progress *p, const char *text, int *is_new)
{
    char digest[sizeof p->layers[0].digest];
    text_clean(digest, sizeof digest, text, strlen(text));
    for (size_t i = 0; i < p->layers_n; i++)
        if (strcmp(p->layers[i].digest, digest) == 0)
            return &p->layers[i];
    if (p->layers_n < PROGRESS_LAYERS)
        p->layers_n++;
    struct progress_layer *layer = &p->layers[p->layers_n - 1];
    memset(layer, 0, sizeof *layer);
    memcpy(layer->digest, digest, sizeof digest);
    *is_new = 1;
    return layer;
}

static void sum_up(struct progress *p)
{
    p->completed = p->total = 0;
    for (size_t i = 0; i < p->layers_n; i++) {
        p->completed += p->layers[i].completed;
        p->total += p->layers[i].total;
    }
}

static void layer_line(struct progress *p, const cJSON *object, const char *digest, int64_t now_ms)
{
    int is_new = 0;
    struct progress_layer *layer = find_layer(p, digest, &is_new);
    uint64_t completed = number(object, "completed"), total = number(object, "total");
    completed = total > 0 && completed > total ? total : completed;
    if (!is_new && completed > layer->completed)
        p->moved += completed - layer->completed;
    layer->total = total;
    layer->completed = completed;
    if (is_new) {
        layer->best = layer->completed;
        p->alive_at_ms = now_ms;
    } else if (layer->completed > layer->best) {
        p->grown += layer->completed - layer->best;
        layer->best = layer->completed;
        p->alive_at_ms = now_ms;
    }
    sum_up(p);
    sample(p, now_ms);
}

static enum progress_stage stage_of(const char *status, int has_digest)
{
    if (has_digest)
        return PROGRESS_LAYER;
    if (strcmp(status, "success") == 0)
        return PROGRESS_SUCCESS;
    if (strncmp(status, "verifying", 9) == 0)
        return PROGRESS_VERIFY;
    return strncmp(status, "writing", 7) == 0 || strncmp(status, "removing", 8) == 0 ? PROGRESS_WRITE
                                                                                      : PROGRESS_MANIFEST;
}

static void garbage_line(struct progress *p, const char *line, size_t line_n)
{
    if (p->garbage_n++ == 0)
        text_clean(p->garbage, sizeof p->garbage, line, line_n);
}

void progress_line(struct progress *p, const char *line, size_t line_n, int64_t now_ms)
{
    cJSON *object = cJSON_ParseWithLength(line, line_n);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(object, "error");
    const cJSON *status = cJSON_GetObjectItemCaseSensitive(object, "status");
    const cJSON *digest = cJSON_GetObjectItemCaseSensitive(object, "digest");
    int has_digest = cJSON_IsString(digest) && digest->valuestring[0];
    if (cJSON_IsString(error)) {
        text_clean(p->error, sizeof p->error, error->valuestring, strlen(error->valuestring));
        if (!p->error[0])
            text_clean(p->error, sizeof p->error, "an error without words", 22);
    } else if (!cJSON_IsString(status)) {
        garbage_line(p, line, line_n);
    } else {
        enum progress_stage stage = stage_of(status->valuestring, has_digest);
        if (stage > p->stage) {
            p->stage = stage;
            p->alive_at_ms = now_ms;
        }
        if (has_digest)
            layer_line(p, object, digest->valuestring, now_ms);
    }
    cJSON_Delete(object);
}

int64_t progress_stalls_at_ms(const struct progress *p, int64_t stall_ms)
{
    int64_t verify_ms = 0;
    if (p->stage == PROGRESS_VERIFY)
        verify_ms = (int64_t)(p->total / PROGRESS_VERIFY_BYTES_PER_MS);
    return p->alive_at_ms + stall_ms + verify_ms;
}

int progress_is_worth(const struct progress *p)
{
    return p->grown - p->grown_before >= PROGRESS_WORTH_BYTES;
}

int progress_percent(const struct progress *p)
{
    if (p->total == 0)
        return -1;
    double percent = 100.0 * (double)p->completed / (double)p->total;
    return percent >= 100 ? 100 : (int)percent;
}

uint64_t progress_rate(const struct progress *p, int64_t now_ms)
{
    if (p->samples_n == 0 || now_ms - p->samples[0].at_ms < PROGRESS_SAMPLE_MS)
        return 0;
    double moved = (double)(p->moved - p->samples[0].moved);
    return (uint64_t)(moved * 1000 / (double)(now_ms - p->samples[0].at_ms));
}

int64_t progress_left_ms(const struct progress *p, int64_t now_ms)
{
    uint64_t rate = progress_rate(p, now_ms);
    if (rate == 0 || p->total <= p->completed)
        return -1;
    double left_ms = (double)(p->total - p->completed) * 1000 / (double)rate;
    return left_ms < 8.64e9 ? (int64_t)left_ms : -1; /* a hundred days are no estimate */
}
