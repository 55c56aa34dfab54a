/* See trouble.h. */
#include "preload/hub/trouble.h"

#include "common/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *word;
    int status;
} codes[] = {
    [TROUBLE_NONE] = {"none", 500},
    [TROUBLE_NOT_FOUND] = {"not_found", 404},
    [TROUBLE_GATED] = {"gated", 403},
    [TROUBLE_UNAUTHORIZED] = {"unauthorized", 401},
    [TROUBLE_FORBIDDEN] = {"forbidden", 403},
    [TROUBLE_NO_SPACE] = {"no_space", 507},
    [TROUBLE_READ_ONLY] = {"read_only", 500},
    [TROUBLE_NETWORK] = {"network", 502},
    [TROUBLE_RATE_LIMITED] = {"rate_limited", 429},
    [TROUBLE_MISMATCH] = {"mismatch", 502},
    [TROUBLE_BAD_NAME] = {"bad_name", 400},
    [TROUBLE_BAD_FILE] = {"bad_file", 422},
    [TROUBLE_BUSY] = {"busy", 409},
    [TROUBLE_CANCELLED] = {"cancelled", 503},
    [TROUBLE_SYSTEM] = {"system", 500},
};
_Static_assert(sizeof codes / sizeof *codes == TROUBLE_CODE_COUNT, "a word for each code");

int trouble_set(struct trouble *t, enum trouble_code code, const char *format, ...)
{
    char text[TROUBLE_TEXT_BYTES];
    va_list args;
    if (t->code != TROUBLE_NONE)
        return -1;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    t->code = code;
    text_clean(t->text, sizeof t->text, text, strlen(text));
    return -1;
}

int trouble_system(struct trouble *t, int error, const char *doing, const char *path)
{
    switch (-error) {
    case ENOSPC:
    case EDQUOT:
        return trouble_set(t, TROUBLE_NO_SPACE, "%s %s: %s; make room there, or put HF_HUB_CACHE on another disk, and pull again: what is there is kept", doing, path,
                           strerror(-error));
    case EROFS:
    case EACCES:
    case EPERM:
        return trouble_set(t, TROUBLE_READ_ONLY, "%s %s: %s; make it writable for the user that this runs as, or set HF_HUB_CACHE to a folder that is", doing, path,
                           strerror(-error));
    default:
        return trouble_set(t, TROUBLE_SYSTEM, "%s %s: %s", doing, path, strerror(-error));
    }
}

int trouble_write(const struct trouble *t, struct buf *out)
{
    int error = buf_text(out, "{\"error\":");
    error = error ? error : buf_json_string(out, t->text, strlen(t->text));
    error = error ? error : buf_printf(out, ",\"code\":\"%s\",\"status\":%d", codes[t->code].word, codes[t->code].status);
    if (!error && t->retry_after_s > 0)
        error = buf_printf(out, ",\"retry_after_s\":%lld", (long long)t->retry_after_s);
    return error ? error : buf_text(out, "}\n");
}
