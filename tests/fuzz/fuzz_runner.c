/* What a program writes, line by line: cleaned, weighed, and looked at for a runner's start or end. */
#include "supervisor/clean.h"
#include "supervisor/level.h"
#include "supervisor/runner.h"
#include "supervisor/slog.h"
#include "supervisor/trouble.h"

#include "common/utf8.h"

#include <stdlib.h>
#include <string.h>

static void check_clean(const char *line, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t point;
        size_t length = utf8_decode(line + i, n - i, &point);
        if (length == 0 || utf8_is_harmful(point))
            abort();
        i += length;
    }
}

static void check_told(const struct runner *r)
{
    if (r->is_mlx) {
        if (!r->name[0] || r->digest[0])
            abort();
        return;
    }
    if (strlen(r->digest) != RUNNER_DIGEST_BYTES - 1 || r->folder[0] != '/' || r->parallel < 1 || r->context < 1 || r->is_awaited)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct runner r;
    runner_init(&r);
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end ? (size_t)(end - data) : size;
        char *line = malloc(n + 1);
        if (!line)
            abort();
        memcpy(line, data, n);
        size_t clean_n = clean_line(line, n, !end);
        if (clean_n > n || strlen(line) != clean_n)
            abort();
        check_clean(line, clean_n);
        if (level_of_line(line) == LOG_INFO)
            abort();
        char words[CONTRACT_REASON_BYTES], few[8];
        (void)trouble_of_line(line, level_of_line(line), words);
        slog_words(line, few, sizeof few);
        if (strlen(words) >= sizeof words || strlen(few) >= sizeof few)
            abort();
        if (runner_line(&r, line))
            check_told(&r);
        free(line);
        data += end ? n + 1 : n;
        size -= end ? n + 1 : n;
    }
    return 0;
}
