/* truncated: what must hold of any text that truncate_prompt made shorter; for the fuzz target and the unit test. */
#ifndef TESTS_FUZZ_TRUNCATED_H
#define TESTS_FUZZ_TRUNCATED_H

#include "common/utf8.h"
#include "proxy/tool_blocks.h"
#include "proxy/truncate.h"

#include <string.h>

static inline int truncated_is_utf8(const char *text, size_t n)
{
    uint32_t point;
    for (size_t i = 0, char_n; i < n; i += char_n)
        if ((char_n = utf8_decode(text + i, n - i, &point)) == 0)
            return 0;
    return 1;
}

/* How many bytes both begin with. */
static inline size_t truncated_start(const char *text, size_t n, const char *came, size_t came_n)
{
    size_t same_n = 0;
    while (same_n < n && same_n < came_n && text[same_n] == came[same_n])
        same_n++;
    return same_n;
}

/* … and both end with. */
static inline size_t truncated_end(const char *text, size_t n, const char *came, size_t came_n)
{
    size_t same_n = 0;
    while (same_n < n && same_n < came_n && text[n - 1 - same_n] == came[came_n - 1 - same_n])
        same_n++;
    return same_n;
}

/* All pieces are there, whole, in their order. */
static inline int truncated_has_blocks(const struct tool_blocks *b, const char *text, const char *came, size_t came_n)
{
    const char *at = came, *end = came + came_n;
    for (size_t i = 0; i < b->items_n; i++) {
        size_t n = b->items[i].end - b->items[i].at;
        at = memmem(at, (size_t)(end - at), text + b->items[i].at, n);
        if (!at)
            return 0;
        at += n;
    }
    return 1;
}

/* What is wrong; NULL where nothing is. b: what is found in the text. */
static inline const char *truncated_mistake(const struct tool_blocks *b, const char *text, size_t n, size_t budget, const struct buf *out, const struct truncate_result *r)
{
    const char *came = buf_data(out);
    size_t came_n = buf_size(out), at = 0;
    if (r->chars_n != utf8_count(came, came_n) || b->chars_n != utf8_count(text, n))
        return "the count is another one";
    if (r->is_truncated != (b->chars_n > budget))
        return "it is made shorter, or is not";
    if (!r->is_truncated)
        return came_n == n && (n == 0 || memcmp(came, text, n) == 0) ? NULL : "what fits is not as it was";
    if ((r->chars_n > budget) != r->is_exceeded)
        return "it is too long";
    if (truncated_is_utf8(text, n) && !truncated_is_utf8(came, came_n))
        return "it is no UTF-8 any more";
    if (r->tools_n != b->tools_n || r->tools_lost_n != b->lost_n || !truncated_has_blocks(b, text, came, came_n))
        return "a definition is not there";
    for (size_t i = 0; i < b->items_n; i++) {
        const struct tool_block *block = &b->items[i];
        if (block->at < at || block->end <= block->at || block->end > n || block->at_chars != utf8_count(text, block->at) ||
            block->end_chars != block->at_chars + utf8_count(text + block->at, block->end - block->at))
            return "a piece has another place";
        at = block->end;
    }
    return NULL;
}

#endif
