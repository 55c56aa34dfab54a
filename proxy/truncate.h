/*
 * truncate: a long system prompt made fit for a budget (R4.3): 40 % for its start, 30 % for the tools' definitions (tool_blocks.h), 30 % for its end.
 * docs/truncation.md tells the rules. Linear in the text. Pure.
 */
#ifndef PROXY_TRUNCATE_H
#define PROXY_TRUNCATE_H

#include "common/buf.h"

struct truncate_result {
    size_t chars_n;      /* code points of what was written */
    size_t tools_n;      /* definitions that were found; 0 where nothing had to go, as they are not looked for then */
    size_t tools_lost_n; /* … of which so many may be cut, or gone: beyond TOOL_FOUND_MAX pieces alone */
    int is_truncated;
    int is_exceeded;     /* the definitions alone go beyond the budget (or it is 0): nothing but they is there */
};

/* Appends the text, of which definitions stay byte for byte; in place of what goes is a short line. It is budget_chars code points long at the most, but
 * where is_exceeded. What is well-formed UTF-8 stays so; elsewhere each byte that belongs to no character counts as one. 0; -ENOMEM, -EFBIG: nothing is
 * appended. */
int truncate_prompt(const char *text, size_t n, size_t budget_chars, struct buf *out, struct truncate_result *r) WARN_UNUSED;

#endif
