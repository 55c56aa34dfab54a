/*
 * request_of: a request's head as plain data, from lines `Name: value` with a \n each, as http1 would have made it.
 */
#ifndef TESTS_UNIT_REQUEST_OF_H
#define TESTS_UNIT_REQUEST_OF_H

#include "proxy/message.h"

/* The caller ends it with message_fini(). host: for the authority; "" none. */
static inline struct message request_of(const char *lines, const char *host)
{
    struct message m;
    message_init(&m, 0);
    m.minor = 1;
    m.authority = (struct span){0, (uint32_t)strlen(host)};
    (void)!buf_text(&m.text, host);
    (void)!buf_text(&m.text, lines);
    for (const char *text = buf_data(&m.text), *line = text + strlen(host); line < text + buf_size(&m.text);) {
        size_t left_n = (size_t)(text + buf_size(&m.text) - line);
        const char *colon = memchr(line, ':', left_n), *end = memchr(line, '\n', left_n);
        const char *value = colon + 1 + (colon[1] == ' ');
        struct span name = {(uint32_t)(line - text), (uint32_t)(colon - line)};
        struct span rest = {(uint32_t)(value - text), (uint32_t)(end - value)};
        (void)!message_add(&m, name, rest);
        line = end + 1;
    }
    return m;
}

#endif
