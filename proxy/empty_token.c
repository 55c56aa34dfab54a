/* See empty_token.h. All members that some client reads without asking whether they are there (docs/clients.md). */
#include "proxy/empty_token.h"

#include <time.h>

size_t empty_token_time(char text[EMPTY_TOKEN_TIME_BYTES])
{
    time_t now = (time_t)(sys_realtime_ms() / 1000);
    struct tm tm;
    gmtime_r(&now, &tm);
    return strftime(text, EMPTY_TOKEN_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int empty_token(struct buf *out, int is_chat, const char *model, const char *end)
{
    char now[EMPTY_TOKEN_TIME_BYTES];
    int error = buf_text(out, "{\"model\":");
    error = error ? error : buf_json_string(out, model, strlen(model));
    error = error ? error : buf_text(out, ",\"created_at\":\"");
    error = error ? error : buf_append(out, now, empty_token_time(now));
    error = error ? error : buf_text(out, "\",");
    error = error ? error : buf_text(out, is_chat ? "\"message\":{\"role\":\"assistant\",\"content\":\"\"}" : "\"response\":\"\"");
    error = error ? error : buf_text(out, ",\"done\":false}");
    return error ? error : buf_text(out, end);
}
