/*
 * Finds the secrets in what each program is to be given, and reads those that are in files. See conf_secrets.c.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { SECRET_BYTES_MAX = 64 << 10 }; /* execve(2) takes no variable beyond 128 KiB */

/* Where NAME_FILE was set, for a mistake: a line of the ini file, or the variable itself. */
static int line_of(const struct conf *c, const char *name)
{
    if (conf_env(c, name))
        return 0;
    for (size_t i = 0; i < c->environment.items_n; i++)
        if (strcmp(c->environment.items[i].name, name) == 0)
            return c->environment.items[i].line;
    return 0;
}

int conf_read_secret(struct conf *c, const char *path, const char **value, const char **why)
{
    char *bytes = NULL;
    size_t bytes_n = 0;
    *value = NULL;
    int fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0); /* a pipe that nobody writes to must not hold us up */
    int error = fd < 0 ? fd : sys_read_fd(fd, SECRET_BYTES_MAX, &bytes, &bytes_n);
    sys_close(fd);
    if (error == -ENOMEM)
        return error;
    if (error) {
        *why = error == -EFBIG ? "has more than 64 KiB" : strerror(-error);
        return 0;
    }
    if (bytes_n > 0 && bytes[bytes_n - 1] == '\n')
        bytes_n--;
    if (bytes_n > 0 && bytes[bytes_n - 1] == '\r')
        bytes_n--;
    if (bytes_n == 0)
        *why = "is empty";
    else if (memchr(bytes, '\0', bytes_n))
        *why = "has a NUL byte";
    else if (!(*value = conf_text(c, bytes, bytes_n)))
        error = -ENOMEM;
    free(bytes);
    return error;
}

/* Reads the file that a NAME_FILE of one program names, once for all programs. */
static int take_file(struct conf *c, const char *name_file, const char *text, struct diag *d)
{
    const char *value = NULL, *why = NULL;
    char *path = conf_path(c, text);
    if (!path)
        return -ENOMEM;
    int error = conf_known_secret(c, path) ? 0 : conf_read_secret(c, path, &value, &why);
    int line = line_of(c, name_file);
    if (why)
        diag_add(d, DIAG_ERROR, line ? c->file : name_file, line, "%s names %s: it %s%s", name_file, path,
                 strncmp(why, "is ", 3) == 0 || strncmp(why, "has ", 4) == 0 ? "" : "can't be read: ", why);
    if (!error && !conf_known_secret(c, path)) /* also what was told, so that it is told once */
        error = conf_variables_add(c, &c->secrets, path, strlen(path), value ? value : "", line);
    free(path);
    return error;
}

static int check_secret(struct conf *c, const char *name, char **environment, struct diag *d)
{
    char name_file[CONF_SECRET_FILE_BYTES];
    conf_secret_file(name, name_file);
    const char *value = conf_variable(environment, name), *file = conf_variable(environment, name_file);
    int error = 0;
    if (value && *value && (!conf_known_secret(c, name) || strcmp(conf_known_secret(c, name), value) != 0))
        error = conf_variables_add(c, &c->secrets, name, strlen(name), value, 0);
    if (error || c->reader != CONF_READER_SUPERVISOR || !file || !*file)
        return error;
    if (value && *value) {
        int line = line_of(c, name_file);
        if (!conf_known_secret(c, name_file)) /* once, and not for each program */
            diag_add(d, DIAG_ERROR, line ? c->file : name_file, line, "%s and %s are both set: unset one of them", name, name_file);
        return conf_known_secret(c, name_file) ? 0 : conf_variables_add(c, &c->secrets, name_file, strlen(name_file), "", 0);
    }
    return take_file(c, name_file, file, d);
}

int conf_check_secrets(struct conf *c, struct diag *d)
{
    int error = 0;
    for (size_t i = 0; i < c->programs_n && !error; i++) {
        char **environment = conf_environment(c, &c->programs[i], NULL);
        if (!environment)
            return -ENOMEM;
        for (size_t k = 0; conf_secret(k) && !error; k++)
            error = check_secret(c, conf_secret(k), environment, d);
        conf_environment_free(environment);
    }
    return error;
}
