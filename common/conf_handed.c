/*
 * What the supervisor hands to its children by CONTRACT_ENV_CONFIG: the texts that it has accepted. TEXT is supervisor.ini, empty where
 * there is none; NAME=value are what its variables stood for, and secrets of files (conf_row_secrets.c). PRESETS is models.json, CONTAINERS
 * the file of that row: empty where there is none, and both absent with the empty pair before them where neither is:
 *
 *     TEXT\0 NAME=value\0 … \0 PRESETS\0 CONTAINERS\0
 */
#include "common/conf_internal.h"

#include "common/contract.h"

#include <errno.h>
#include <limits.h>

int conf_handed_fd(const struct conf *c)
{
    const char *text = conf_variable(c->environment_in, CONTRACT_ENV_CONFIG);
    int64_t fd;
    char why[PARSE_WHY_BYTES];
    return c->environment_in && text && parse_integer(text, 3, INT_MAX, &fd, why) == 0 ? (int)fd : -1;
}

/* One of those that are handed on; none has a NUL in it, nor is empty, as it was found to be good. */
static int hand_file(const char *text, size_t text_n, struct buf *out)
{
    int error = text ? buf_append(out, text, text_n) : 0;
    return error ? error : buf_append(out, "", 1);
}

int conf_handed_text(const struct conf *c, struct buf *out)
{
    if (!c->text && !c->presets_text && !c->containers_text)
        return 0;
    int error = c->text ? buf_append(out, c->text, c->text_n) : 0;
    error = error ? error : buf_append(out, "", 1);
    for (size_t i = 0; i < c->expanded.items_n && !error; i++) {
        error = buf_printf(out, "%s=%s", c->expanded.items[i].name, c->expanded.items[i].value);
        error = error ? error : buf_append(out, "", 1);
    }
    error = error ? error : conf_hand_row_secrets(c, out);
    if (error || (!c->presets_text && !c->containers_text))
        return error;
    error = buf_append(out, "", 1);
    error = error ? error : hand_file(c->presets_text, c->presets_text_n, out);
    return error ? error : hand_file(c->containers_text, c->containers_text_n, out);
}

/* The pairs, up to the empty one. Untrusted as any text. Behind it in *at. 0 or -ENOMEM. */
static int take_expanded(struct conf *c, const char **at, const char *end)
{
    int error = 0;
    while (*at < end && **at && !error) {
        const char *pair_end = memchr(*at, '\0', (size_t)(end - *at));
        const char *equals = strchr(*at, '='); /* what was read ends in a NUL */
        if (equals)
            error = conf_variables_add(c, &c->expanded, *at, (size_t)(equals - *at), equals + 1, 0);
        *at = pair_end ? pair_end + 1 : end;
    }
    *at += *at < end;
    return error;
}

/* NULL where it is empty, or behind the end. 0 or -ENOMEM. */
static int take_file(struct conf *c, const char **at, const char *end, const char **text, size_t *text_n)
{
    size_t n = *at < end ? strlen(*at) : 0;
    *text = n ? conf_text(c, *at, n) : NULL;
    *text_n = n;
    *at += n + 1;
    return n && !*text ? -ENOMEM : 0;
}

int conf_take_handed(struct conf *c, const char *bytes, size_t bytes_n)
{
    const char *end = bytes + bytes_n, *at = memchr(bytes, '\0', bytes_n);
    c->text_n = at ? (size_t)(at - bytes) : bytes_n;
    c->text = conf_text(c, bytes, c->text_n);
    c->is_handed = at != NULL;
    if (!at || !c->text)
        return c->text ? 0 : -ENOMEM;
    at++;
    int error = take_expanded(c, &at, end);
    error = error ? error : take_file(c, &at, end, &c->presets_text, &c->presets_text_n);
    return error ? error : take_file(c, &at, end, &c->containers_text, &c->containers_text_n);
}
