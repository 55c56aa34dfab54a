/* The answer to a pull: the first byte says where it is cut in two. A cut changes nothing; what is shown is clean; sums and
 * percents stay within their bounds. */
#include "common/lines.h"
#include "common/pull_failure.h"
#include "common/pull_progress.h"
#include "common/text.h"
#include "tests/fuzz/clean.h"

enum { LIMIT_BYTES = 2048 };

struct play {
    struct lines lines;
    struct progress progress;
    int64_t now_ms;
};

static void check(const struct progress *p, int64_t now_ms)
{
    char text[TEXT_NUMBER_BYTES];
    int percent = progress_percent(p);
    if (percent < -1 || percent > 100 || p->layers_n > PROGRESS_LAYERS || p->samples_n > PROGRESS_SAMPLES)
        abort();
    for (size_t i = 0; i < p->layers_n; i++)
        if (strnlen(p->layers[i].digest, sizeof p->layers[i].digest) == sizeof p->layers[i].digest)
            abort();
    (void)progress_rate(p, now_ms);
    text_duration(text, progress_left_ms(p, now_ms));
    text_bytes(text, p->completed);
    (void)progress_stalls_at_ms(p, 60000);
    (void)progress_is_worth(p);
    must_be_clean(p->error, strlen(p->error), 0);
    must_be_clean(p->garbage, strlen(p->garbage), 0);
}

static void on_line(void *context, const char *line, size_t line_n)
{
    struct play *play = context;
    if (line_n == 0 || line_n > LIMIT_BYTES || memchr(line, '\n', line_n))
        abort();
    play->now_ms += 100;
    progress_line(&play->progress, line, line_n, play->now_ms);
    check(&play->progress, play->now_ms);
}

static void run(struct play *play, const char *bytes, size_t n, size_t cut_n)
{
    memset(play, 0, sizeof *play);
    lines_init(&play->lines, LIMIT_BYTES, on_line, play);
    progress_init(&play->progress);
    progress_begin(&play->progress, 0);
    lines_feed(&play->lines, bytes, cut_n);
    lines_feed(&play->lines, bytes + cut_n, n - cut_n);
    lines_end(&play->lines);
}

static int is_same(const struct progress *a, const struct progress *b)
{
    for (size_t i = 0; i < a->layers_n && a->layers_n == b->layers_n; i++)
        if (strcmp(a->layers[i].digest, b->layers[i].digest) != 0 || a->layers[i].best != b->layers[i].best)
            return 0;
    return a->layers_n == b->layers_n && a->completed == b->completed && a->total == b->total && a->grown == b->grown && a->moved == b->moved &&
           a->stage == b->stage && a->garbage_n == b->garbage_n && strcmp(a->garbage, b->garbage) == 0 && strcmp(a->error, b->error) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct play whole, cut;
    char reason[256];
    if (size < 2)
        return 0;
    const char *bytes = (const char *)data + 1;
    run(&whole, bytes, size - 1, size - 1);
    run(&cut, bytes, size - 1, (size_t)data[0] * (size - 1) / 255);
    if (whole.lines.dropped_n != cut.lines.dropped_n || whole.now_ms != cut.now_ms || !is_same(&whole.progress, &cut.progress))
        abort();
    lines_fini(&whole.lines);
    lines_fini(&cut.lines);
    enum failure kind = failure_classify(whole.progress.error, data[0] * 3L);
    if (kind >= FAILURE_COUNT || !*failure_word(kind))
        abort();
    failure_reason(reason, sizeof reason, kind, whole.progress.error);
    (void)failure_is_final(kind);
    must_be_clean(reason, strlen(reason), 0);
    return 0;
}
