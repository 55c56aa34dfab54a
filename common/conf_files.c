/*
 * The JSON files that [proxy] names: models.json, and that of containers.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int conf_read_json_file(struct conf *c, const struct conf_json_file *f, const char **text, size_t *text_n, struct diag *d)
{
    struct sys_file file = {.is_regular = 0};
    char *bytes = NULL, why[PARSE_WHY_BYTES + 1024], large[40];
    size_t bytes_n;
    int fd = sys_open(f->path, O_RDONLY | O_NONBLOCK, 0); /* a pipe that nobody writes to must not hold us up */
    if (fd == -ENOENT && f->is_optional)
        return 0;
    int error = fd < 0 ? fd : sys_file(fd, &file);
    if (!error && file.is_regular)
        error = sys_read_fd(fd, f->most_bytes, &bytes, &bytes_n);
    sys_close(fd);
    if (!error && bytes) {
        *text = conf_text(c, bytes, bytes_n);
        *text_n = bytes_n;
        free(bytes);
        return *text ? 0 : -ENOMEM;
    }
    if (error == -ENOMEM)
        return error;
    snprintf(large, sizeof large, "it has more than %zu KiB", f->most_bytes / 1024);
    snprintf(why, sizeof why, "%.1000s can't be read: %s", f->path, error == -EFBIG ? large : error ? strerror(-error) : "it is no regular file");
    conf_mistake(c, (const struct conf_head *)&c->proxy, "proxy", f->key, d, why);
    return 0;
}

int conf_set_path(struct conf *c, const char *key, char **field, const char *path)
{
    *field = conf_text(c, path, strlen(path));
    conf_origin((const struct conf_head *)&c->proxy, conf_find_section("proxy"), key)->text = *field;
    return *field ? 0 : -ENOMEM;
}
