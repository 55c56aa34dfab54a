/*
 * tool_blocks: the definitions of tools in a system prompt, as agents, templates and the proxy itself write them: docs/truncation.md has the grammar, with an
 * example each. Linear in the text. Pure.
 */
#ifndef PROXY_TOOL_BLOCKS_H
#define PROXY_TOOL_BLOCKS_H

#include "common/sys.h"

/* A piece of the text that must stay whole: at to end, in bytes and in code points. */
struct tool_block {
    size_t at, end, at_chars, end_chars;
    int is_frame; /* what definitions stand in, such as `<tools>`: no definition itself */
};

struct tool_blocks {
    struct tool_block *items; /* owned; in their order, none in another */
    size_t items_n;
    size_t tools_n; /* definitions, those that are lost among them */
    size_t lost_n;  /* beyond what is looked at: TOOL_FOUND_MAX pieces */
    size_t chars_n; /* of the whole text */
};

/* 0, or -ENOMEM: then there is nothing to be freed. */
int tool_blocks_find(struct tool_blocks *b, const char *text, size_t n) WARN_UNUSED;
void tool_blocks_fini(struct tool_blocks *b);

#endif
