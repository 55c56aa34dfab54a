/*
 * redis_url: where a Redis is, in one line: redis://[[USER]:PASSWORD@]HOST[:PORT][/DB], or unix:///PATH. Pure.
 *
 * As https://www.iana.org/assignments/uri-schemes/prov/redis has it; in user and password %XX stands for a byte (RFC 3986 section 2.1).
 */
#ifndef COMMON_REDIS_URL_H
#define COMMON_REDIS_URL_H

#include "common/parse.h"

enum {
    REDIS_PORT = 6379,
    REDIS_DATABASES = 16384,      /* as far as Redis itself can be told to have them */
    REDIS_SECRET_BYTES = 1024,
    REDIS_PATH_BYTES = 108,       /* of a socket's path, its NUL included. unix(7) */
};

struct redis_url {
    struct address address;        /* of TCP; its host is "" where there is a path */
    char path[REDIS_PATH_BYTES];   /* of a UNIX socket; "" where there is none */
    char user[64];                 /* "": Redis' own default */
    char password[REDIS_SECRET_BYTES]; /* "": none */
    unsigned database;
};

/* 0; -EINVAL with a sentence in why (PARSE_WHY_BYTES) that says what to write; the text, which may hold a password, is not in it. */
int redis_url_parse(const char *text, struct redis_url *out, char *why) WARN_UNUSED;

#endif
