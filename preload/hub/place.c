/* See place.h. */
#include "preload/hub/place.h"

#include "common/folders.h"
#include "preload/hub/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX "models--"

int place_init(struct place *p, const char *cache, const char *model, struct trouble *t)
{
    const char *slash = strchr(model, '/');
    *p = (struct place){.cache = cache};
    snprintf(p->model, sizeof p->model, "%s", model);
    int n = slash ? snprintf(p->folder, sizeof p->folder, "%s/" PREFIX "%.*s--%s", cache, (int)(slash - model), model, slash + 1)
                  : snprintf(p->folder, sizeof p->folder, "%s/" PREFIX "%s", cache, model);
    return n < (int)sizeof p->folder ? 0 : trouble_system(t, -ENAMETOOLONG, "using the cache", cache);
}

int place_model_of(const char *folder_name, char model[PLACE_NAME_BYTES])
{
    char why[PARSE_WHY_BYTES];
    const char *name = folder_name + sizeof PREFIX - 1;
    if (strncmp(folder_name, PREFIX, sizeof PREFIX - 1) != 0)
        return -EINVAL;
    const char *middle = strstr(name, "--"), *rest = middle ? middle + 2 : "";
    int n = snprintf(model, PLACE_NAME_BYTES, "%.*s%s%s", middle ? (int)(middle - name) : PLACE_NAME_BYTES, name, middle ? "/" : "", rest);
    return n < PLACE_NAME_BYTES ? parse_hub_name(model, why) : -EINVAL;
}

int place_path(const struct place *p, char out[PLACE_BYTES], const char *format, ...)
{
    va_list args;
    int n = snprintf(out, PLACE_BYTES, "%s/", p->folder);
    va_start(args, format);
    n += vsnprintf(out + n, (size_t)(PLACE_BYTES - n), format, args);
    va_end(args);
    if (n < PLACE_BYTES)
        return 0;
    *out = '\0';
    return -ENAMETOOLONG;
}

int place_lock_path(const struct place *p, char out[PLACE_BYTES], const char *name)
{
    const char *folder = strrchr(p->folder, '/') + 1;
    if (snprintf(out, PLACE_BYTES, "%s/.locks/%s/%s.lock", p->cache, folder, name) < PLACE_BYTES)
        return 0;
    *out = '\0';
    return -ENAMETOOLONG;
}

int place_free_bytes(const char *cache, uint64_t *bytes_n)
{
    char path[PLACE_BYTES], *slash;
    int error = snprintf(path, sizeof path, "%s", cache) < (int)sizeof path ? sys_free_bytes(path, bytes_n) : -ENAMETOOLONG;
    while (error == -ENOENT && (slash = strrchr(path, '/')) && slash > path) { /* it will be made there */
        *slash = '\0';
        error = sys_free_bytes(path, bytes_n);
    }
    return error;
}

int place_lock(const struct place *p, const char *name)
{
    char path[PLACE_BYTES];
    int error = place_lock_path(p, path, name);
    error = error ? error : folders_make_above(path);
    if (error)
        return error;
    int fd = sys_open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0644);
    error = fd < 0 ? fd : sys_lock(fd);
    if (!error)
        return fd;
    sys_close(fd);
    return error == -ENOSYS || error == -EOPNOTSUPP ? -ENOLCK : error;
}

int place_read_ref(const struct place *p, const char *ref, char revision[PLACE_REVISION_N + 1])
{
    char path[PLACE_BYTES], *text = NULL;
    size_t n = 0;
    int error = place_path(p, path, "refs/%s", ref);
    error = error ? error : sys_read_file(path, 256, &text, &n);
    if (!error) {
        text[strcspn(text, "\r\n \t")] = '\0';
        error = names_is_revision(text) ? 0 : -ENOENT;
    }
    if (!error)
        memcpy(revision, text, PLACE_REVISION_N + 1);
    free(text);
    return error ? -ENOENT : 0;
}

int place_write_ref(const struct place *p, const char *ref, const char *revision)
{
    char path[PLACE_BYTES], fresh[PLACE_BYTES];
    int error = place_path(p, path, "refs/%s", ref);
    error = error ? error : place_path(p, fresh, "refs/%s.new", ref);
    error = error ? error : folders_make_above(path);
    if (error)
        return error;
    int fd = sys_open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return fd;
    error = sys_write_all(fd, revision, strlen(revision));
    sys_close(fd);
    return error ? error : sys_rename(fresh, path);
}
