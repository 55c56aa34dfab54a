/*
 * idle_action = suspend: which machine we are, and where its API is. Names from the environment go into a request line, so they
 * are what such names are made of and nothing else.
 */
#include "common/conf_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int is_plain(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return n > 0 && n < 64 && name[n] == '\0';
}

static int find_name(const struct conf *c, const char *variable, const char **out, char *why)
{
    *out = conf_env(c, variable);
    if (*out && is_plain(*out))
        return 0;
    snprintf(why, PARSE_WHY_BYTES, *out ? "%s is no name: letters, digits, - and _ (63 at the most)" : "%s is not set: is this a machine of Fly.io's?",
             variable);
    return -EINVAL;
}

int conf_machine(const struct conf *c, const char **app, const char **machine, char *why)
{
    int error = find_name(c, "FLY_APP_NAME", app, why);
    error = error ? error : find_name(c, "FLY_MACHINE_ID", machine, why);
    if (error)
        return error;
    int found = sys_is_socket(c->supervisor.suspend_socket);
    if (found <= 0)
        snprintf(why, PARSE_WHY_BYTES, "%.107s: %s", c->supervisor.suspend_socket, found < 0 ? strerror(-found) : "it is no socket");
    return found > 0 ? 0 : found < 0 ? found : -ENOTSOCK;
}

void conf_check_machine(const struct conf *c, struct diag *d)
{
    enum { PATH_BYTES = 107 }; /* sun_path, unix(7) */
    const struct conf_head *at = (const struct conf_head *)&c->supervisor;
    const char *app, *machine, *path = c->supervisor.suspend_socket;
    char why[PARSE_WHY_BYTES], text[PARSE_WHY_BYTES + 64];
    if (c->reader == CONF_READER_CHILD)
        return;
    if (path[0] != '/' || strlen(path) > PATH_BYTES) {
        conf_mistake(c, at, "supervisor", "suspend_socket", d, "write an absolute path of at most 107 bytes");
        return;
    }
    if (c->supervisor.idle_action != CONF_IDLE_SUSPEND || c->reader != CONF_READER_SUPERVISOR || conf_machine(c, &app, &machine, why) == 0)
        return;
    snprintf(text, sizeof text, "%s; when idle we exit instead", why);
    conf_warning(c, at, "supervisor", "idle_action", d, text);
}
