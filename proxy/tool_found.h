/*
 * tool_found: for tool_blocks.h: what may be a tool's definition, as the three that look for them find it, and the names of tools. docs/truncation.md has
 * the grammar.
 */
#ifndef PROXY_TOOL_FOUND_H
#define PROXY_TOOL_FOUND_H

#include "common/json_walk.h"

enum { TOOL_FOUND_MAX = 4096, TOOL_NAMES_MAX = 1024 };

enum tool_form {
    TOOL_DEFINITION,
    TOOL_EXAMPLE,  /* a definition where nothing else in the text defines its name, the first of them */
    TOOL_EXAMPLES, /* … each of them */
    TOOL_FRAME,    /* belongs to definitions, and is none */
    TOOL_ROOM,     /* has definitions in it, and is one where it has none */
};

/* A piece of the text. */
struct tool_found {
    const char *at, *end;
    struct json_text name; /* n = 0: not known */
    enum tool_form form;
};

struct tool_founds {
    const char *text, *end;
    struct tool_found *items; /* owned */
    size_t items_n, room_n;
    size_t lost_n; /* what there was no place for */
    int error;     /* 0, or -ENOMEM */
};

/* One more; above TOOL_FOUND_MAX it is counted as lost. */
void tool_found_add(struct tool_founds *f, const struct tool_found *found);
/* By their place; of those that begin in one the longest first. */
void tool_found_sort(struct tool_founds *f);

/* Blocks of XML: they go first. */
void tool_tags_find(struct tool_founds *f);
/* Headings with what stands below them, and lists. f has nothing but blocks of XML, sorted. */
void tool_sections_find(struct tool_founds *f);
/* Objects of JSON. f: sorted. */
void tool_schemas_find(struct tool_founds *f);

/* A table of names in the text. */
struct tool_names {
    struct tool_name {
        struct json_text name;
        const char *at;
    } *slots; /* owned */
    size_t used_n;
};
/* 0, or -ENOMEM. */
int tool_names_init(struct tool_names *t) WARN_UNUSED;
void tool_names_fini(struct tool_names *t);
/* The place of a name, whose `at` is NULL where it is new; NULL where it is not there and wants none, or
 * there are TOOL_NAMES_MAX, or too many of one hash. */
struct tool_name *tool_names_find(struct tool_names *t, struct json_text name, int is_wanted);

/* How many bytes at `at` are those of a name of tags and tools: letters, digits, _ and -. */
size_t tool_name_bytes(const char *at, const char *end);
/* One that agents' prompts are known to have. */
int tool_name_is_known(struct json_text name);
/* … or whose lower-case words are joined by _ */
int tool_name_is_likely(struct json_text name);

/* Behind spaces and tabs; and with line ends. */
const char *tool_skip_blank(const char *at, const char *end);
const char *tool_skip_space(const char *at, const char *end);
/* Where the line ends: its line end, or the text's. */
const char *tool_line_end(const char *at, const char *end);
/* Where the text up to `end` ends without the white space behind it. */
const char *tool_trim(const char *at, const char *end);

#endif
