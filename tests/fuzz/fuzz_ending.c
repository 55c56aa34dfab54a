/* What an answer ends with. The first byte says which form it has, the second seeds how it is cut into pieces: however it is
 * cut, the facts are those of the whole. */
#include "proxy/ending.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check(const struct ending_facts *f)
{
    const int64_t counts[] = {f->prompt_tokens_n, f->tokens_n, f->total_ns, f->load_ns, f->prompt_ns, f->eval_ns};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i] < -1 || counts[i] > (int64_t)1 << 53)
            abort();
    if (!memchr(f->reason, '\0', sizeof f->reason) || (f->is_done & ~1) || (f->has_error & ~1))
        abort();
}

/* Each piece ends where its memory ends, so that a sanitizer sees one step too far. */
static void see(struct ending *e, const char *bytes, size_t n)
{
    char *piece = malloc(n ? n : 1);
    if (!piece)
        abort();
    memcpy(piece, bytes, n);
    ending_see(e, piece, n);
    free(piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ending whole, cut;
    struct ending_facts of_whole, of_cut;
    if (size < 2)
        return 0;
    enum ending_form form = (enum ending_form)(data[0] % 5);
    uint32_t random = data[1] * 2654435761u + 1;
    const char *bytes = (const char *)data + 2;
    size_t n = size - 2;
    ending_begin(&whole, form);
    ending_begin(&cut, form);
    see(&whole, bytes, n);
    ending_read(&whole, &of_whole);
    check(&of_whole);
    for (size_t at = 0, piece_n; at < n; at += piece_n) {
        random = random * 1664525 + 1013904223;
        const char *line_end = memchr(bytes + at, '\n', n - at);
        size_t line_n = line_end ? (size_t)(line_end + 1 - bytes) - at : n - at;
        piece_n = random >> 31 ? line_n : 1 + (random >> 16) % 700; /* mostly a piece is a line */
        piece_n = piece_n < n - at ? piece_n : n - at;
        see(&cut, bytes + at, piece_n);
    }
    ending_read(&cut, &of_cut);
    if (memcmp(&of_whole, &of_cut, sizeof of_whole) != 0)
        abort();
    return 0;
}
