/*
 * played_redis: a Redis on a UNIX socket that a test plays itself, in the same loop as what it tests: it sees the words of each command, and
 * answers what it likes.
 */
#ifndef TESTS_UNIT_PLAYED_REDIS_H
#define TESTS_UNIT_PLAYED_REDIS_H

#include "common/loop.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PLAYED_CLIENTS = 4 };

struct played {
    struct loop *loop;
    char folder[64], path[96], url[112];
    int listen_fd;
    struct played_client {
        struct played *all;
        int fd; /* -1: none */
        redisReader *reader;
    } clients[PLAYED_CLIENTS];
    /* For the test to set: a command has come, NULL-terminated words; to be answered by played_say, or not. */
    void (*command)(struct played *p, struct played_client *c, const char *const *words, size_t words_n);
    void *context;
    char said[8192]; /* all commands so far, a line each */
    int is_deaf;     /* connections are not accepted */
};

static inline void played_say(struct played_client *c, const char *text)
{
    if (c->fd >= 0)
        (void)!send(c->fd, text, strlen(text), MSG_NOSIGNAL); /* who has gone does not hear it */
}

static inline void played_hang_up(struct played_client *c)
{
    if (c->fd < 0)
        return;
    loop_remove(c->all->loop, c->fd);
    close(c->fd);
    redisReaderFree(c->reader);
    c->fd = -1;
}

static inline void played_take(struct played_client *c, const redisReply *reply)
{
    struct played *p = c->all;
    const char *words[256] = {NULL};
    size_t n = strlen(p->said);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements >= 256)
        abort();
    for (size_t i = 0; i < reply->elements; i++) {
        words[i] = reply->element[i]->str;
        n += (size_t)snprintf(p->said + n, sizeof p->said - n, "%s%c", words[i], i + 1 < reply->elements ? ' ' : '\n');
        n = n < sizeof p->said ? n : sizeof p->said - 1;
    }
    p->command(p, c, words, reply->elements);
}

static inline void played_on_client(void *context, short revents)
{
    struct played_client *c = context;
    char bytes[65536];
    void *reply = NULL;
    (void)revents;
    ssize_t n = read(c->fd, bytes, sizeof bytes);
    if (n <= 0) {
        played_hang_up(c);
        return;
    }
    redisReaderFeed(c->reader, bytes, (size_t)n);
    while (c->fd >= 0 && redisReaderGetReply(c->reader, &reply) == REDIS_OK && reply) {
        played_take(c, reply);
        freeReplyObject(reply);
    }
}

static inline void played_on_listener(void *context, short revents)
{
    struct played *p = context;
    struct played_client *c = p->clients;
    (void)revents;
    while (c->fd >= 0)
        c++;
    *c = (struct played_client){.all = p, .fd = accept(p->listen_fd, NULL, NULL), .reader = redisReaderCreate()};
    if (c->fd < 0 || loop_add(p->loop, c->fd, POLLIN, played_on_client, c))
        abort();
}

static inline void played_begin(struct played *p, struct loop *loop)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    *p = (struct played){.loop = loop, .folder = "/tmp/played.XXXXXX"};
    for (size_t i = 0; i < PLAYED_CLIENTS; i++)
        p->clients[i].fd = -1;
    if (!mkdtemp(p->folder))
        abort();
    snprintf(p->path, sizeof p->path, "%s/redis", p->folder);
    snprintf(p->url, sizeof p->url, "unix://%s", p->path);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", p->path);
    p->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(p->listen_fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(p->listen_fd, 16) < 0 ||
        loop_add(loop, p->listen_fd, POLLIN, played_on_listener, p))
        abort();
}

static inline void played_hang_up_all(struct played *p)
{
    for (size_t i = 0; i < PLAYED_CLIENTS; i++)
        played_hang_up(&p->clients[i]);
}

static inline void played_end(struct played *p)
{
    played_hang_up_all(p);
    loop_remove(p->loop, p->listen_fd);
    close(p->listen_fd);
    unlink(p->path);
    rmdir(p->folder);
}

/* Turns until it is so; a test that waits in vain fails after 20 s. */
#define TURN_UNTIL(loop, condition)                                        \
    do {                                                                   \
        int64_t end_ms_ = sys_monotonic_ms() + 20000;                      \
        while (!(condition)) {                                             \
            if (sys_monotonic_ms() > end_ms_)                              \
                fail_msg("in vain: %s", #condition);                       \
            (void)!loop_turn((loop), 100);                                 \
        }                                                                  \
    } while (0)

#endif
