/*
 * repair_call: one place of a text, and whether a tool call of the grammar (docs/tool-calls.md) begins there. Pure: the answer for a text
 * that is not whole never changes but from MAYBE.
 */
#ifndef PROXY_REPAIR_CALL_H
#define PROXY_REPAIR_CALL_H

#include "common/json_read.h"

enum {
    REPAIR_HELD_BYTES = 64 * 1024, /* a call that is longer is text, and what comes behind it is not looked at */
    REPAIR_NAME_BYTES = 128,       /* a tool whose name is longer is never found; OpenAI's have 64 at the most */
};

/* Where things go, in their order. Texts are not NUL-terminated, and borrowed for the call. */
struct repair_ops {
    void (*text)(void *context, const char *text, size_t text_n);
    /* arguments: an object, valid JSON without raw control characters. */
    void (*call)(void *context, struct json_text name, struct json_text arguments);
};

enum repair_verdict {
    REPAIR_NO,    /* no call begins here, whatever follows */
    REPAIR_MAYBE, /* what follows will tell; never where the text is whole */
    REPAIR_YES,
};

/* What is looked at, and what was found there. */
struct repair_look {
    const char *at, *end;          /* from the place on, as far as the text is there */
    int is_end;                    /* that is all of it */
    const char *names;             /* of the tools, each with its NUL, an empty one behind the last */
    const struct repair_ops *ops;  /* told of the calls of a YES; NULL: nobody */
    void *context;
    size_t found_n;                /* of a YES: how much of the text it takes */
    int is_json_cut;               /* of a MAYBE: it is JSON that is not whole; only a bracket can end that */
};

/* A word of ours at `at`: MAYBE where the text ends within it. */
enum repair_verdict repair_word(const struct repair_look *l, const char *at, const char *word);
/* Tags, which may stand anywhere: `<tool_call>`… */
enum repair_verdict repair_tags(struct repair_look *l);
/* Fenced blocks that the text ends with. */
enum repair_verdict repair_fences(struct repair_look *l);
/* Objects that are all of the text. */
enum repair_verdict repair_bare(struct repair_look *l);

#endif
