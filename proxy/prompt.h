/*
 * prompt: what a body of /api/chat (Ollama docs/api.md, "Generate a chat completion") asks with: its messages, their roles, and how long each is. Places in the
 * text, which must outlive it; nothing is decoded that nobody asks for. Linear in the text. Pure.
 */
#ifndef PROXY_PROMPT_H
#define PROXY_PROMPT_H

#include "common/buf.h"
#include "common/json_walk.h"

enum { PROMPT_MESSAGES_MAX = 65536 };

/* PROMPT_OTHER: another role, none, or no message at all. */
enum prompt_role { PROMPT_SYSTEM, PROMPT_USER, PROMPT_ASSISTANT, PROMPT_TOOL, PROMPT_OTHER };

struct prompt_message {
    enum prompt_role role;
    struct json_value whole, content, calls; /* content: JSON_NULL where it is no string; calls: `tool_calls`, JSON_NULL where there are none */
    size_t chars_n; /* code points: those of the content, decoded, and of the calls' JSON */
};

struct prompt {
    struct prompt_message *messages; /* owned */
    size_t messages_n;
    struct json_value whole; /* the array of messages: what a body that is written anew has others for */
    struct json_value tools, options; /* JSON_NULL where there is none */
    size_t tools_chars_n; /* code points of the tools' JSON */
    size_t system_n;      /* system messages at the beginning */
    size_t last_user;     /* the last message of the user's; messages_n where there is none */
    size_t task;          /* what the user asked last, where that is a tool's result in words (openai_tools.h); else last_user */
};

/* 0, -EINVAL where there is no object with an array of messages, -E2BIG above PROMPT_MESSAGES_MAX, -ENOMEM. On error there is nothing to be freed. */
int prompt_read(struct prompt *p, const char *json, size_t n) WARN_UNUSED;
void prompt_fini(struct prompt *p);

/* How many code points a string has, decoded: text is what stands between its quotes. */
size_t prompt_string_chars(struct json_text text);
/* All its messages, and the tools. */
size_t prompt_chars(const struct prompt *p);

/* Appends a content's text: decoded, in UTF-8 where the body was. 0, -EINVAL for an escape that is none, -EFBIG, -ENOMEM: then nothing is appended. */
int prompt_decode(const struct json_value *content, struct buf *out) WARN_UNUSED;

#endif
