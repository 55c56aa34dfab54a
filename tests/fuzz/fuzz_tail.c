/* Lines of programs in the ring, and a client who asks for them: up to a byte 0x1e its words, then the lines. What is told
 * has each line once, in order, as JSON of one line each. */
#include "supervisor/tail.h"

#include <stdlib.h>
#include <string.h>

static void check_line(const char *line, size_t n)
{
    if (n < 2 || line[0] != '{' || line[n - 1] != '}')
        abort();
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20)
            abort();
}

static void check_lines(const struct buf *out)
{
    for (const char *at = buf_data(out), *end = at + buf_size(out), *newline; at < end; at = newline + 1) {
        newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            abort();
        check_line(at, (size_t)(newline - at));
    }
}

static void read_all(struct tail *t, const struct ring *ring)
{
    int left = TAIL_MORE;
    for (int i = 0; left == TAIL_MORE; i++) {
        struct buf out;
        buf_init(&out, 0);
        left = tail_write(t, ring, &out);
        if (left < 0 || i == 1000) /* it comes to an end */
            abort();
        check_lines(&out);
        buf_fini(&out);
    }
}

static void push_lines(struct ring *ring, const char *at, const char *end)
{
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((newline ? newline : end) - at);
        for (int i = 0; i < (n == 7 ? 200 : 1); i++) /* more than the ring has room for */
            ring_push(ring, n % 3 ? "ollama" : "x", (enum log_level)(n % 4), (int64_t)n, at, n);
        at += n + (newline != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *mark = memchr(data, 0x1e, size);
    size_t words_n = mark ? (size_t)(mark - data) : size;
    char *words = malloc(words_n + 1), why[TAIL_WHY_BYTES] = "";
    const char *lines = mark ? (const char *)mark + 1 : "", *end = mark ? (const char *)data + size : lines;
    struct tail t = {0};
    struct ring ring;
    long lines_n = 0;
    if (!words)
        return 0;
    memcpy(words, data, words_n);
    words[words_n] = '\0';
    ring_init(&ring);
    push_lines(&ring, lines, lines + (end - lines) / 2);
    if (tail_parse(&t, words, &lines_n, why) == 0) {
        if (lines_n < 0 || lines_n > TAIL_MOST_N)
            abort();
        tail_begin(&t, &ring, lines_n);
        read_all(&t, &ring);
        push_lines(&ring, lines + (end - lines) / 2, end);
        read_all(&t, &ring);
    } else if (!*why) {
        abort();
    }
    ring_fini(&ring);
    free(words);
    return 0;
}
