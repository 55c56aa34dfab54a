/*
 * repair: tool calls that a model writes as text, found in its answer while it comes: docs/tool-calls.md has the grammar. Only what may
 * still become a call is held back, up to REPAIR_HELD_BYTES; all else passes at once, byte for byte. Whatever the pieces are that the
 * text comes in, what is found is that of the whole. Pure.
 */
#ifndef PROXY_REPAIR_H
#define PROXY_REPAIR_H

#include "proxy/repair_call.h"

struct repair;

/* For an answer to a request with these tools: an array of {"type":"function","function":{"name": …}}. NULL where none of them has a name,
 * or there is no memory: then nothing is repaired. */
struct repair *repair_new(const struct json_value *tools);
void repair_free(struct repair **r);

/* Whether the next piece can go to the client as it stands, in JSON (what is between the quotes): nothing is held, and nothing in it may
 * begin a call. Where not, it goes to repair_take, decoded. r may be NULL. */
int repair_passes(struct repair *r, struct json_text raw);
void repair_take(struct repair *r, const char *text, size_t text_n, const struct repair_ops *ops, void *context);
/* The answer is over: what is held is a call, or text. Nothing is repaired from here on. */
void repair_end(struct repair *r, const struct repair_ops *ops, void *context);
/* … or the model calls tools by itself, or the answer broke: what is held is text. */
void repair_stop(struct repair *r, const struct repair_ops *ops, void *context);

#endif
