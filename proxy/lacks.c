/* See lacks.h. The servers' words are told apart, as their statuses are the same: a model that is not there is a 404 as well. */
#include "proxy/lacks.h"

#include <string.h>
#include <strings.h>

/* Whether one of these words stands at the beginning of a text, in any case. */
static int begins(const char *at, size_t n)
{
    static const char *const words[] = {
        "404 page not found", "not found\"", "file not found\"", "method not allowed\"", "invalid url", "invalid path", "unexpected endpoint",
        "unknown endpoint", "there is no path", "no such path", "this path takes", "cannot post", "no route", "route not found", "endpoint not found",
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) <= n && strncasecmp(at, words[i], strlen(words[i])) == 0)
            return 1;
    return 0;
}

int lacks_path(int status, const char *body, size_t body_n)
{
    const char *end = body + body_n;
    if (status != 404 && status != 405 && status != 501)
        return 0;
    while (body < end && strchr(" \t\r\n", *body) && *body)
        body++;
    if (body == end || *body != '{') /* no API writes its errors so; its router does */
        return 1;
    for (const char *at = body; at < end; at++)
        if (*at == '"' && begins(at + 1, (size_t)(end - at) - 1))
            return 1;
    return 0;
}

const char *lacks_advice(const char *path)
{
    static const char *const rows[][2] = {
        {"/v1/responses", ": Ollama has it from 0.13.3 on; /v1/chat/completions is there in every version"},
        {"/v1/messages", ": Ollama has it from 0.14.0 on; /v1/chat/completions is there in every version"},
        {"/v1/messages/count_tokens", ": clients estimate by themselves, or read the usage of an answer"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(path, rows[i][0]) == 0)
            return rows[i][1];
    return "";
}
