/*
 * See cache_text.h. Lines, then the bytes of the answer:
 *   1 MADE_MS TOKENS_RECEIVED TOKENS_SAVED MODELS
 *   TYPE
 *   STRATEGY, or nothing
 *   DIGEST NAME        of each model
 */
#include "proxy/store/cache_text.h"

#include "common/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, NUMBERS = 5, DIGEST_DIGITS = 2 * CACHE_DIGEST_BYTES };

int cache_text_write(const struct cache_entry *e, int64_t made_ms, struct buf *out)
{
    const struct cache_answer *a = &e->answer;
    int error = buf_printf(out, "%d %lld %llu %llu %zu\n%s\n%s\n", VERSION, (long long)made_ms, (unsigned long long)a->tokens_received_n,
                           (unsigned long long)a->tokens_saved_n, a->models_n, a->type, a->strategy ? a->strategy : "");
    for (size_t i = 0; i < a->models_n && !error; i++) {
        for (size_t j = 0; j < CACHE_DIGEST_BYTES && !error; j++)
            error = buf_printf(out, "%02x", a->models[i].digest[j]);
        error = error ? error : buf_printf(out, " %s\n", a->models[i].name);
    }
    return error ? error : buf_append(out, e->bytes, e->bytes_n);
}

/* The next line, its end cut off; NULL: there is none. */
static char *next_line(char **at, char *end)
{
    char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
    if (!newline || memchr(line, '\0', (size_t)(newline - line)))
        return NULL;
    *newline = '\0';
    *at = newline + 1;
    return line;
}

/* Decimal numbers with one blank between them. */
static int read_numbers(char *line, int64_t numbers[NUMBERS])
{
    char why[PARSE_WHY_BYTES];
    for (size_t i = 0; i < NUMBERS; i++) {
        char *blank = strchr(line, ' ');
        if (!blank != (i == NUMBERS - 1))
            return -EINVAL;
        if (blank)
            *blank = '\0';
        if (parse_integer(line, 0, INT64_MAX, &numbers[i], why) < 0)
            return -EINVAL;
        line = blank ? blank + 1 : line;
    }
    return 0;
}

static int read_model(char *line, struct cache_model *model)
{
    if (!line || strlen(line) < DIGEST_DIGITS + 2 || line[DIGEST_DIGITS] != ' ')
        return -EINVAL;
    for (size_t i = 0; i < CACHE_DIGEST_BYTES; i++) {
        char pair[3] = {line[2 * i], line[2 * i + 1], '\0'}, *end;
        model->digest[i] = (unsigned char)strtoul(pair, &end, 16);
        if (end != pair + 2 || pair[0] == '-' || pair[0] == '+' || pair[0] == ' ')
            return -EINVAL;
    }
    model->name = line + DIGEST_DIGITS + 1;
    return 0;
}

int cache_text_read(char *text, size_t text_n, const struct conf *conf, struct cache_text *out)
{
    char *at = text, *end = text + text_n, *line = next_line(&at, end);
    int64_t numbers[NUMBERS];
    struct cache_answer *a = &out->answer;
    *out = (struct cache_text){.made_ms = 0};
    if (!line || read_numbers(line, numbers) < 0 || numbers[0] != VERSION || numbers[4] < 1 || numbers[4] > CACHE_MODELS)
        return -EINVAL;
    out->made_ms = numbers[1];
    a->tokens_received_n = (uint64_t)numbers[2];
    a->tokens_saved_n = (uint64_t)numbers[3];
    a->type = next_line(&at, end);
    line = a->type ? next_line(&at, end) : NULL;
    if (!line || !*a->type || strchr(a->type, '\r'))
        return -EINVAL;
    const struct conf_strategy *strategy = *line ? conf_strategy(conf, line, strlen(line)) : NULL;
    if (*line && !strategy)
        return -EINVAL;
    a->strategy = strategy ? strategy->name : NULL;
    for (; a->models_n < (size_t)numbers[4]; a->models_n++)
        if (read_model(next_line(&at, end), &a->models[a->models_n]) < 0)
            return -EINVAL;
    out->bytes = at;
    out->bytes_n = (size_t)(end - at);
    return 0;
}
