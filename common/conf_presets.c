/*
 * [proxy] presets: which file it is, its text, and what is in it. PID 1 judges it, and keeps the text alone, to hand it to the proxy.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdlib.h>

int conf_check_presets(struct conf *c, struct diag *d)
{
    int error = 0;
    if (strcmp(c->proxy.presets, "none") == 0 || c->reader == CONF_READER_ASKER)
        return 0;
    char *path = conf_path(c, *c->proxy.presets ? c->proxy.presets : "models.json");
    if (!path)
        return -ENOMEM;
    const struct conf_json_file file = {.path = path, .key = "presets", .is_optional = !*c->proxy.presets, .most_bytes = PRESETS_FILE_BYTES};
    if (c->reader != CONF_READER_CHILD) /* else it was handed to us, or there is none */
        error = conf_read_json_file(c, &file, &c->presets_text, &c->presets_text_n, d);
    if (!error && c->presets_text)
        error = conf_set_path(c, "presets", &c->proxy.presets, path);
    if (!error && c->presets_text)
        error = presets_read(&c->presets, c->presets_text, c->presets_text_n, path, d);
    if (c->reader == CONF_READER_SUPERVISOR)
        presets_fini(&c->presets);
    free(path);
    return error == -EINVAL ? 0 : error;
}

int conf_accepted_presets(const struct conf *c, struct presets *out)
{
    struct diag d;
    *out = (struct presets){0};
    diag_init(&d);
    int error = c->presets_text ? presets_read(out, c->presets_text, c->presets_text_n, "", &d) : 0;
    diag_fini(&d);
    return error == -ENOMEM ? error : 0;
}
