/*
 * [proxy] presets: which file it is, its text, and what is in it. PID 1 judges it, and keeps the text alone, to hand it to the proxy.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

/* Into c->presets_text; NULL where the default file is not there. What is wrong with the file is told. 0 or -ENOMEM. */
static int read_file(struct conf *c, const char *path, struct diag *d)
{
    struct sys_file file = {.is_regular = 0};
    char *bytes = NULL, why[PARSE_WHY_BYTES + 1024];
    size_t bytes_n;
    int fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0); /* a pipe that nobody writes to must not hold us up */
    if (fd == -ENOENT && !*c->proxy.presets)
        return 0;
    int error = fd < 0 ? fd : sys_file(fd, &file);
    if (!error && file.is_regular)
        error = sys_read_fd(fd, PRESETS_FILE_BYTES, &bytes, &bytes_n);
    sys_close(fd);
    if (!error && bytes) {
        c->presets_text = conf_text(c, bytes, bytes_n);
        c->presets_text_n = bytes_n;
        free(bytes);
        return c->presets_text ? 0 : -ENOMEM;
    }
    if (error == -ENOMEM)
        return error;
    snprintf(why, sizeof why, "%.1000s can't be read: %s", path,
             error == -EFBIG ? "it has more than 64 KiB" : error ? strerror(-error) : "it is no regular file");
    conf_mistake(c, (const struct conf_head *)&c->proxy, "proxy", "presets", d, why);
    return 0;
}

/* The path that was found is the value, so that a dump says it and can be read back anywhere. 0 or -ENOMEM. */
static int set_path(struct conf *c, const char *path)
{
    c->proxy.presets = conf_text(c, path, strlen(path));
    conf_origin((const struct conf_head *)&c->proxy, conf_find_section("proxy"), "presets")->text = c->proxy.presets;
    return c->proxy.presets ? 0 : -ENOMEM;
}

int conf_check_presets(struct conf *c, struct diag *d)
{
    int error = 0;
    if (strcmp(c->proxy.presets, "none") == 0 || c->reader == CONF_READER_ASKER)
        return 0;
    char *path = conf_path(c, *c->proxy.presets ? c->proxy.presets : "models.json");
    if (!path)
        return -ENOMEM;
    if (c->reader != CONF_READER_CHILD) /* else it was handed to us, or there is none */
        error = read_file(c, path, d);
    if (!error && c->presets_text)
        error = set_path(c, path);
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
