/* See place.h. */
#include "ctl/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

extern char **environ;

/* 1 where the file can be opened: a supervisor may still run with what it read of it earlier. */
static int is_readable(const char *file)
{
    int fd = sys_open(file, O_RDONLY, 0);
    sys_close(fd);
    return fd >= 0;
}

int place_load(struct conf **conf, const char *file)
{
    struct diag mistakes;
    diag_init(&mistakes);
    int error = conf_load_to_ask(conf, file, environ, &mistakes);
    if (error == -EINVAL) {
        diag_print(&mistakes);
        if (*conf && (!file || is_readable(file))) {
            fprintf(stderr, "sidecarctl: looking for the socket where what can be read of it says: %s\n", place_socket(*conf));
            error = 0;
        }
    }
    if (error)
        conf_free(conf);
    diag_fini(&mistakes);
    return error;
}

const char *place_socket(const struct conf *c)
{
    const char *path = c->supervisor.control_socket;
    return sys_is_socket(path) <= 0 && sys_is_socket(c->second_control_socket) > 0 ? c->second_control_socket : path;
}
