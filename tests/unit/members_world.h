/*
 * A world for the tests of proxy/balance/member.h: a loop, and one socket that stands for an Ollama at each address of 127.0.0.0/8. What it says
 * at an address is set by the test; whatever it is asked is counted.
 */
#ifndef TESTS_UNIT_MEMBERS_WORLD_H
#define TESTS_UNIT_MEMBERS_WORLD_H

#include "proxy/balance/members_inner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORLD_HOSTS = 8, WORLD_TURNS = 3000, WORLD_FDS = 512 };

#define ANSWER(body) "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" body
#define NOTHING_LOADED ANSWER("{\"models\":[]}")
#define STATUS(status) "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

/* 127.0.0.1 is the first. */
struct world_host {
    const char *ps, *tags; /* its answers; NULL: it takes the request and says nothing */
    unsigned ps_n, tags_n, others_n;
    char request[1024];    /* the last one */
};

static struct world {
    struct loop loop;
    struct conf *conf;
    struct tell tell;
    struct waiting waiting;
    struct members *members;
    int listener_fd;
    uint16_t port;
    struct world_host hosts[WORLD_HOSTS]; /* the last one is all others, too */
    char urls[CONF_BACKENDS_MAX][64];
    unsigned changed_n, gone_n, loads_n, failed_n;
    enum breaker_state told; /* the state of the member that has changed last */
    char gone_name[MEMBER_NAME_BYTES];
    char loaded[256]; /* of the last `loaded`: the names, each with a blank behind it */
    char is_held[WORLD_FDS]; /* connections */
} w;

static void hang_up(int fd)
{
    w.is_held[fd] = 0;
    loop_remove(&w.loop, fd);
    sys_close(fd);
}

static void on_request(void *context, short revents)
{
    int fd = (int)(intptr_t)context;
    struct sockaddr_storage at;
    socklen_t at_n;
    char request[1024] = "";
    (void)revents;
    ssize_t n = sys_recv(fd, request, sizeof request - 1, 0);
    if (n == -EAGAIN)
        return;
    assert_int_equal(sys_socket_name(fd, &at, &at_n), 0);
    uint32_t address = ntohl(((struct sockaddr_in *)&at)->sin_addr.s_addr);
    struct world_host *host = &w.hosts[(address & 0xffff) - 1 < WORLD_HOSTS ? (address & 0xffff) - 1 : WORLD_HOSTS - 1];
    const char *answer = NULL;
    if (n > 0) {
        memcpy(host->request, request, sizeof request);
        int is_ps = strstr(request, "/api/ps ") != NULL, is_tags = strstr(request, "/api/tags ") != NULL;
        answer = is_ps ? host->ps : is_tags ? host->tags : STATUS("404 Not Found");
        *(is_ps ? &host->ps_n : is_tags ? &host->tags_n : &host->others_n) += 1;
    }
    if (answer)
        assert_true(sys_write(fd, answer, strlen(answer)) == (ssize_t)strlen(answer));
    if (answer || n <= 0)
        hang_up(fd);
}

static void on_connection(void *context, short revents)
{
    struct sockaddr_storage peer;
    socklen_t peer_n;
    (void)context, (void)revents;
    int fd = sys_accept(w.listener_fd, &peer, &peer_n);
    if (fd < 0)
        return;
    assert_true(fd < WORLD_FDS);
    assert_int_equal(loop_add(&w.loop, fd, POLLIN, on_request, (void *)(intptr_t)fd), 0);
    w.is_held[fd] = 1;
}

static void on_changed(void *context, struct member *m)
{
    assert_ptr_equal(context, &w);
    assert_ptr_equal(members_at(w.members, (size_t)m->index), m);
    w.changed_n++;
    w.told = m->breaker.state;
}

static void on_gone(void *context, struct member *m)
{
    assert_ptr_equal(context, &w);
    assert_int_equal(m->users_n, 0);
    snprintf(w.gone_name, sizeof w.gone_name, "%s", m->name);
    w.gone_n++;
}

static void on_loaded(void *context, struct member *m, const char *const *names, size_t names_n, int64_t asked_ms)
{
    assert_ptr_equal(context, &w);
    assert_non_null(m);
    assert_true(asked_ms <= loop_now_ms(&w.loop));
    *w.loaded = '\0';
    for (size_t i = 0; i < names_n; i++)
        snprintf(w.loaded + strlen(w.loaded), sizeof w.loaded - strlen(w.loaded), "%s ", names[i]);
}

static void on_load(void *context, struct member *m, int is_begun)
{
    (void)context, (void)m, (void)is_begun;
    w.loads_n++;
}

static void on_failed(void *context, const struct member *m)
{
    (void)context;
    assert_true(*m->why);
    w.failed_n++;
}

static void listen_everywhere(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    struct sockaddr_storage bound;
    socklen_t bound_n;
    w.listener_fd = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_true(w.listener_fd >= 0);
    if (w.port) {
        assert_int_equal(sys_setsockopt_int(w.listener_fd, SOL_SOCKET, SO_REUSEADDR, 1), 0);
        at.sin_port = htons(w.port);
    }
    assert_int_equal(sys_bind(w.listener_fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(sys_listen(w.listener_fd, 64), 0);
    assert_int_equal(sys_socket_name(w.listener_fd, &bound, &bound_n), 0);
    w.port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
    assert_int_equal(loop_add(&w.loop, w.listener_fd, POLLIN, on_connection, NULL), 0);
}

/* One more [backend:NAME] at this host, which is a name or an address. */
static inline struct conf_backend *world_backend(const char *name, const char *host)
{
    static char nothing[] = "";
    struct conf_backend *b = &w.conf->backends[w.conf->backends_n];
    char *url = w.urls[w.conf->backends_n++];
    snprintf(url, sizeof w.urls[0], "http://%s:%u", host, w.port);
    *b = (struct conf_backend){.name = strdup(name), .url = url, .api = CONF_BACKEND_API_OLLAMA, .key = nothing, .slots = 1, .weight = 1};
    return b;
}

static int world_set_up(void **state)
{
    (void)state;
    w = (struct world){.conf = calloc(1, sizeof *w.conf)};
    assert_non_null(w.conf);
    w.conf->balancer = (struct conf_balancer){.probe_interval_ms = 20, .probe_timeout_ms = 2000, .rise = 2, .fall = 3, .breaker_failures = 5,
                                              .breaker_open_ms = 50, .resolve_interval_ms = 20};
    w.waiting.limit_n = 100;
    for (size_t i = 0; i < WORLD_HOSTS; i++)
        w.hosts[i] = (struct world_host){.ps = NOTHING_LOADED, .tags = ANSWER("{\"models\":[]}")};
    assert_int_equal(loop_init(&w.loop), 0);
    tell_init(&w.tell, 1, 0);
    listen_everywhere();
    return 0;
}

static inline void world_begin(void)
{
    static const struct members_ops ops = {.changed = on_changed, .gone = on_gone, .loaded = on_loaded, .load = on_load, .failed = on_failed, .context = &w};
    assert_int_equal(members_new(&w.members, &w.loop, w.conf, &w.tell, &w.waiting, &ops), 0);
    assert_int_equal(w.changed_n, 0); /* never from within */
}

static int world_tear_down(void **state)
{
    (void)state;
    members_free(&w.members);
    if (w.listener_fd >= 0) {
        loop_remove(&w.loop, w.listener_fd);
        sys_close(w.listener_fd);
    }
    for (int fd = 0; fd < WORLD_FDS; fd++) /* requests that were never answered */
        if (w.is_held[fd])
            hang_up(fd);
    loop_fini(&w.loop);
    for (size_t i = 0; i < w.conf->backends_n; i++)
        free(w.conf->backends[i].name);
    free(w.conf);
    return 0;
}

/* Turns until it is so, for some seconds at the most. */
#define UNTIL(condition)                                                \
    do {                                                                \
        int turns_n = 0;                                                \
        for (; !(condition) && turns_n < WORLD_TURNS; turns_n++)        \
            assert_int_equal(loop_turn(&w.loop, 10), 0);                \
        if (turns_n == WORLD_TURNS)                                     \
            fail_msg("never: %s", #condition);                          \
    } while (0)

static inline struct member *world_member(const char *name)
{
    return members_find(w.members, name, strlen(name));
}

static inline int world_is_in(const char *name, enum breaker_state state)
{
    struct member *m = world_member(name);
    return m && m->breaker.state == state;
}

#endif
