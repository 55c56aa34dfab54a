/* See http_answer.h. */
#include "supervisor/http_answer.h"

#include <stdlib.h>
#include <string.h>

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int http_answer_status(const char *text)
{
    static const char like[] = "HTTP/1.# ###";
    size_t n = 0;
    for (; like[n] && text[n]; n++)
        if (like[n] == '#' ? !is_digit(text[n]) : like[n] != text[n])
            return -1;
    if (like[n])
        return 0;
    return is_digit(text[n]) ? -1 : (int)strtol(text + sizeof like - 4, NULL, 10);
}

const char *http_answer_body(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    return end ? end + 4 : NULL;
}

int http_answer_is_complete(const char *text, const char *body, int is_end)
{
    const char *length = strcasestr(text, "\r\ncontent-length:");
    if (length && length < body)
        return strlen(body) >= strtoul(length + 17, NULL, 10);
    const char *coding = strcasestr(text, "\r\ntransfer-encoding:");
    if (coding && coding < body) {
        size_t body_n = strlen(body);
        return body_n >= 5 && strcmp(body + body_n - 5, "0\r\n\r\n") == 0;
    }
    return is_end;
}
