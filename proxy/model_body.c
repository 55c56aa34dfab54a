/* See model_body.h. */
#include "proxy/model_body.h"

#include <string.h>

int model_body_write(struct buf *out, const char *model, const char *rest)
{
    int error = buf_text(out, "{\"model\":");
    error = error ? error : buf_json_string(out, model, strlen(model));
    return error ? error : buf_text(out, rest);
}
