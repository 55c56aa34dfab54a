/* See status.h. Texts as they may be shown. */
#include "proxy/observe/status.h"

#include "common/conf.h"

#include <string.h>

void status_write_text(struct json_write *w, const char *before, const char *text, size_t text_n)
{
    size_t n = text_n < STATUS_TEXT_BYTES ? text_n : STATUS_TEXT_BYTES;
    while (n < text_n && n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    json_write_text(w, before);
    if (n > 0)
        json_write_string(w, text, n);
    else
        json_write_text(w, "null");
}

int status_may_name(const struct list *shown, const char *model)
{
    return !shown || conf_names_model(shown, model, strlen(model));
}
