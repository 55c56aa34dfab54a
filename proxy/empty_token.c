/* See empty_token.h. All members that some client reads without asking whether they are there (docs/clients.md). */
#include "proxy/empty_token.h"

#include <time.h>

static int append_now(struct buf *out)
{
    char text[40];
    time_t now = (time_t)(sys_realtime_ms() / 1000);
    struct tm tm;
    gmtime_r(&now, &tm);
    return buf_append(out, text, strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm));
}

int empty_token(struct buf *out, int is_chat, const char *model, const char *end)
{
    int error = buf_text(out, "{\"model\":");
    error = error ? error : buf_json_string(out, model, strlen(model));
    error = error ? error : buf_text(out, ",\"created_at\":\"");
    error = error ? error : append_now(out);
    error = error ? error : buf_text(out, "\",");
    error = error ? error : buf_text(out, is_chat ? "\"message\":{\"role\":\"assistant\",\"content\":\"\"}" : "\"response\":\"\"");
    error = error ? error : buf_text(out, ",\"done\":false}");
    return error ? error : buf_text(out, end);
}
