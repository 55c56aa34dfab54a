/*
 * Reads the lines of POST /api/pull (Ollama docs/api.md, "Pull a Model"): {"status", "digest", "total", "completed"}
 * or {"error"}. Ollama sends a line every 60 ms whether bytes come or not, so lines are no sign of life here: only
 * a layer that grows beyond what it ever had, a new layer, or a later stage is.
 *
 * Numbers are not trusted: negative, absurd and fractional ones count for nothing. A retry starts where the
 * partial files end, which is why a layer's first figure counts as its base and not as speed.
 *
 * Invariant: `grown` and `moved` never shrink; completed <= total wherever a total is known.
 */
#include "common/pull_progress.h"

#include "common/json_read.h"
#include "common/text.h"

#include <string.h>

enum { ERROR_BYTES = 4096, STATUS_BYTES = 64 };
enum part { ERROR, STATUS, DIGEST, COMPLETED, TOTAL, PARTS };

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

/* A string, up to a NUL; one that is too long as it stands, escapes included: what is kept of it is cut anyway. "" for what is none. */
static void decode(const struct json_value *value, char *out, size_t out_n)
{
    out[0] = '\0';
    if (value->kind != JSON_STRING)
        return;
    struct json_text text = json_read_text(value);
    if (json_decode(text, out, out_n) < 0)
        text_clean(out, out_n, text.at, text.n);
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

static void layer_line(struct progress *p, const char *digest, uint64_t completed, uint64_t total, int64_t now_ms)
{
    int is_new = 0;
    struct progress_layer *layer = find_layer(p, digest, &is_new);
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

static void error_line(struct progress *p, const struct json_value *error)
{
    char text[ERROR_BYTES];
    decode(error, text, sizeof text);
    text_clean(p->error, sizeof p->error, text, strlen(text));
    if (!p->error[0])
        text_clean(p->error, sizeof p->error, "an error without words", 22);
}

static void status_line(struct progress *p, const struct json_value values[PARTS], int64_t now_ms)
{
    char status[STATUS_BYTES], digest[2 * sizeof p->layers[0].digest];
    decode(&values[STATUS], status, sizeof status);
    decode(&values[DIGEST], digest, sizeof digest);
    enum progress_stage stage = stage_of(status, digest[0] != '\0');
    if (stage > p->stage) {
        p->stage = stage;
        p->alive_at_ms = now_ms;
    }
    if (digest[0])
        layer_line(p, digest, json_read_count(&values[COMPLETED]), json_read_count(&values[TOTAL]), now_ms);
}

void progress_line(struct progress *p, const char *line, size_t line_n, int64_t now_ms)
{
    static const char *const names[PARTS] = {"error", "status", "digest", "completed", "total"};
    struct json_walk w = {line, line + line_n};
    struct json_value values[PARTS];
    int is_object = json_read_members(&w, names, PARTS, JSON_EXACT, values) == 0;
    if (is_object && values[ERROR].kind == JSON_STRING)
        error_line(p, &values[ERROR]);
    else if (is_object && values[STATUS].kind == JSON_STRING)
        status_line(p, values, now_ms);
    else
        garbage_line(p, line, line_n);
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

int progress_percent_of(uint64_t completed_bytes, uint64_t total_bytes)
{
    if (total_bytes == 0)
        return -1;
    double percent = 100.0 * (double)completed_bytes / (double)total_bytes;
    return percent >= 100 ? 100 : (int)percent;
}

int progress_percent(const struct progress *p)
{
    return progress_percent_of(p->completed, p->total);
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
