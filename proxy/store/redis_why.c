/* See redis_why.h. Codes: https://redis.io/docs/latest/develop/reference/protocol-spec/ and Redis' src/server.c, createSharedObjects. */
#include "proxy/store/redis_why.h"

#include "common/buf.h"

#include <stdio.h>

/* The first one that the error has in it. Before Redis 7 a script's own error stands behind the words "Error running script". */
static const struct {
    const char *code, *words;
} known[] = {
    {"DENIED", "it lets in nobody from another machine without a password: give it one (requirepass), or say protected-mode no in a network of its own"},
    {"SIDECAR SCHEMA", "proxies of another version share this [redis] prefix: use one version, or another prefix"},
    {"WRONGPASS", "it does not take the user or the password: [redis] password, password_file, or url"},
    {"invalid password", "it does not take the password: [redis] password, password_file, or url"},
    {"without any password configured", "it has no password: leave out ours"},
    {"no password is set", "it has no password: leave out ours"},
    {"NOAUTH", "it wants a password: [redis] password_file, or redis://:PASSWORD@HOST"},
    {"NOPERM", "its user may not do that (ACL): it needs the commands of scripts, of keys behind [redis] prefix, and publish and subscribe"},
    {"READONLY", "it is a replica, which takes no writes: name the primary in [redis] url"},
    {"OOM", "its memory is full (maxmemory): give it more, or a Redis of its own to us"},
    {"LOADING", "it is still reading its data: it is asked again"},
    {"MASTERDOWN", "it is a replica without its primary: name the primary in [redis] url"},
    {"MISCONF", "it takes no writes, as it can't save to its disk: look at its log, or turn its saving off"},
    {"BUSY", "another script blocks it: look for who runs it"},
    {"MOVED", "it is a Redis Cluster, which is not spoken to: take a Redis that is none"},
    {"CROSSSLOT", "it is a Redis Cluster, which is not spoken to: take a Redis that is none"},
    {"CLUSTERDOWN", "it is a Redis Cluster, which is not spoken to: take a Redis that is none"},
    {"WRONGTYPE", "other data stand under our keys: set another [redis] prefix"},
    {"DB index is out of range", "it has no database of that number: leave it out of [redis] url"},
    {"unknown command", "it does not know our commands: is it Redis 5 or newer?"},
    {"max number of clients", "it has too many connections (maxclients)"},
};

void redis_why(const char *error, char out[REDIS_WHY_BYTES])
{
    size_t i = 0, n = sizeof known / sizeof *known;
    while (i < n && !strstr(error, known[i].code))
        i++;
    snprintf(out, REDIS_WHY_BYTES, "%.120s%s%s", error, i < n ? ": " : "", i < n ? known[i].words : "");
    buf_neutralise(out);
    for (char *c = out; *c; c++)
        *c = *c == '"' ? '\'' : *c;
}
