/*
 * What map-reduce makes of a body, and reads of answers: every byte of what is mapped is in just one part, each part is asked for in JSON, and
 * a summary is what was said, or none. The first byte says how long parts are; a NUL ends the body, and what follows is an answer.
 */
#include "common/json_walk.h"
#include "proxy/map.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

static void check(int is_so)
{
    if (!is_so)
        abort();
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void check_asked(struct map *m, size_t part, const struct conf_strategy *strategy)
{
    struct buf body;
    struct json_value value;
    buf_init(&body, 0);
    check(map_ask(m, part, strategy, &body) == 0);
    struct json_walk w = {buf_data(&body), buf_data(&body) + buf_size(&body)};
    check(json_value(&w, &value) == 0 && value.kind == JSON_OBJECT && w.at == w.end);
    buf_fini(&body);
}

static void check_parts(struct map *m, size_t part_chars, const struct conf_strategy *strategy)
{
    size_t at = 0;
    check(m->parts_n <= PLAN_PARTS_MAX);
    for (size_t i = 0; i < m->parts_n; i++) {
        const struct chunk *chunk = &m->parts[i].chunk;
        check(chunk->at == at && chunk->n > 0 && chunk->chars_n <= part_chars && chunk->message < m->messages_n);
        at += chunk->n;
        check(map_next(m) == i);
        check_asked(m, i, strategy);
    }
    check(at == buf_size(&m->text));
}

static void check_answer(struct map *m, size_t part, const char *json, size_t n)
{
    int answered = map_answered(m, part, json, n);
    check(answered == 0 || answered == 1);
    if (!answered) {
        check(map_next(m) == part);
        return;
    }
    const struct buf *summary = &m->parts[part].summary;
    check(buf_size(summary) > 0 && buf_size(summary) <= n);
    check(!is_blank(buf_data(summary)[0]) && !is_blank(buf_data(summary)[buf_size(summary) - 1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char model[] = "m", option[] = "num_ctx=8192";
    static char *options[] = {option};
    struct conf_strategy strategy = {.map_model = model, .options = {options, 1}};
    struct map m;
    if (size == 0)
        return 0;
    size_t part_chars = 1 + data[0] * 4u, n = size - 1;
    char *json = malloc(n ? n : 1); /* ends where it ends */
    check(json != NULL);
    if (n > 0)
        memcpy(json, data + 1, n);
    const char *nul = n ? memchr(json, '\0', n) : NULL;
    size_t body_n = nul ? (size_t)(nul - json) : n;
    int error = map_read(&m, json, body_n, part_chars);
    check(error == 0 || error == -EINVAL || error == -E2BIG);
    if (error == 0) {
        check_parts(&m, part_chars, &strategy);
        if (nul && m.parts_n > 0)
            check_answer(&m, m.parts_n - 1, nul + 1, n - body_n - 1);
    }
    map_fini(&m);
    free(json);
    return 0;
}
