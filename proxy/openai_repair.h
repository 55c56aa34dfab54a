/*
 * openai_repair: what Ollama's answer says, with the calls that its model wrote as text among its calls (repair.h).
 */
#ifndef PROXY_OPENAI_REPAIR_H
#define PROXY_OPENAI_REPAIR_H

#include "common/json_read.h"
#include "proxy/translation.h"

/* Where what is said anew stands. All zero: nothing is. */
struct openai_repaired {
    struct buf text, calls;
    size_t calls_n;
};
void openai_repaired_fini(struct openai_repaired *r);

enum openai_repair_how {
    OPENAI_REPAIR_GO_ON,
    OPENAI_REPAIR_END,  /* it is the last object */
    OPENAI_REPAIR_STOP, /* its model calls by itself, or it broke off, or the tokens are told one by one: nothing is repaired from here on */
};

/* *content and *calls, of one object, become what the client is to be told; they stand in r then. Where t has no repair, and mostly, they
 * stay as they are. 0, or the buffers' -ENOMEM. */
int openai_repair(struct translation *t, struct openai_repaired *r, enum openai_repair_how how, struct json_value *content, struct json_value *calls);
/* fini of struct translate_ops. */
void openai_repair_fini(struct translation *t);

#endif
