/* proxy/store/shared with our script in a real redis-server: two replicas share one line, and what happens when Redis goes and comes. */
#include "proxy/store/shared_call.h"

#include "common/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { REPLICAS = 2, TICKETS = 8 };

struct box;

struct replica {
    struct box *box;
    struct shared *shared;
    enum shared_state state;
    unsigned replicas_n, ups_n;
    uint64_t waits[TICKETS], runs[TICKETS]; /* ids; 0: none */
    char drained[32];
};

struct box {
    struct loop loop;
    struct conf *conf;
    pid_t redis;
    char folder[64], path[96];
    struct replica replicas[REPLICAS];
    char order[64];    /* of grants: a letter each, a for the first id of its kind */
    unsigned most_n;   /* at once */
};

static unsigned running_n(const struct box *b)
{
    unsigned n = 0;
    for (size_t i = 0; i < REPLICAS; i++)
        for (size_t j = 0; j < TICKETS; j++)
            n += b->replicas[i].runs[j] != 0;
    return n;
}

static void tell_ticket(struct replica *r, size_t i, unsigned priority)
{
    struct shared_ticket t = {.id = r->waits[i], .model = "m:1", .priority = priority, .payer = 0, .cost_ms = 100, .ways_n = 1, .ways = {{"one", {100, 0}}}};
    shared_enter(r->shared, &t);
}

static void on_state(void *context, enum shared_state state, unsigned replicas_n)
{
    struct replica *r = context;
    r->state = state;
    r->replicas_n = replicas_n;
    if (state != SHARED_UP)
        return;
    r->ups_n++;
    shared_backend(r->shared, "one", 1, 1);
    for (size_t i = 0; i < TICKETS; i++)
        if (r->runs[i])
            shared_hold(r->shared, r->runs[i], "one", "m:1", 1000);
    for (size_t i = 0; i < TICKETS; i++)
        if (r->waits[i])
            tell_ticket(r, i, 5);
}

static int on_granted(void *context, uint64_t id, const char *backend)
{
    struct replica *r = context;
    assert_string_equal(backend, "one");
    for (size_t i = 0; i < TICKETS; i++)
        if (r->waits[i] == id) {
            char name[2] = {(char)((r == r->box->replicas ? 'a' : 'A') + (char)i), '\0'};
            r->waits[i] = 0;
            r->runs[i] = id;
            strcat(r->box->order, name);
            unsigned n = running_n(r->box);
            r->box->most_n = n > r->box->most_n ? n : r->box->most_n;
            return 0;
        }
    return -1;
}

static void on_lost(void *context, uint64_t id)
{
    (void)context;
    (void)id;
    fail_msg("a lease was lost");
}

static void on_drained(void *context, const char *backend, int is_drained)
{
    struct replica *r = context;
    snprintf(r->drained, sizeof r->drained, "%s %d", backend, is_drained);
}

static void on_learnt(void *context, const char *backend, const char *model, const char *text)
{
    struct replica *r = context;
    snprintf(r->drained, sizeof r->drained, "%s %s %s", backend, model, text);
}

static void start_redis(struct box *b)
{
    b->redis = fork();
    assert_true(b->redis >= 0);
    if (b->redis == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", b->path, "--save", "", "--appendonly", "no", "--dir", b->folder, (char *)NULL);
        _exit(127);
    }
}

static void kill_redis(struct box *b)
{
    kill(b->redis, SIGKILL);
    assert_int_equal(waitpid(b->redis, NULL, 0), b->redis);
    unlink(b->path);
}

#define TURN_UNTIL(b, condition)                                           \
    do {                                                                   \
        int64_t end_ms_ = sys_monotonic_ms() + 30000;                      \
        while (!(condition)) {                                             \
            if (sys_monotonic_ms() > end_ms_)                              \
                fail_msg("in vain: %s (%s)", #condition, (b)->order);      \
            (void)!loop_turn(&(b)->loop, 100);                             \
        }                                                                  \
    } while (0)

static void begin(struct box *b)
{
    struct diag d;
    char url[160];
    char *environment[] = {url, NULL};
    if (system("command -v redis-server >/dev/null") != 0) {
        print_message("no redis-server is installed\n");
        skip();
    }
    *b = (struct box){.folder = "/tmp/together.XXXXXX"};
    assert_non_null(mkdtemp(b->folder));
    snprintf(b->path, sizeof b->path, "%s/redis", b->folder);
    snprintf(url, sizeof url, "SIDECAR_REDIS_URL=unix://%s", b->path);
    diag_init(&d);
    assert_int_equal(conf_load(&b->conf, "/dev/null", environment, &d), 0);
    diag_fini(&d);
    assert_int_equal(loop_init(&b->loop), 0);
    start_redis(b);
    for (size_t i = 0; i < REPLICAS; i++) {
        struct replica *r = &b->replicas[i];
        struct shared_ops ops = {on_state, on_granted, on_lost, on_drained, on_learnt, r};
        r->box = b;
        assert_int_equal(shared_new(&r->shared, &b->loop, b->conf, &ops), 0);
    }
    for (size_t i = 0; i < REPLICAS; i++)
        TURN_UNTIL(b, b->replicas[i].replicas_n == REPLICAS || (b->replicas[i].state == SHARED_UP && b->replicas[i].shared->replicas_n == REPLICAS));
}

static void end(struct box *b)
{
    for (size_t i = 0; i < REPLICAS; i++)
        shared_free(&b->replicas[i].shared);
    kill_redis(b);
    rmdir(b->folder);
    (void)!loop_turn(&b->loop, 0);
    loop_fini(&b->loop);
    conf_free(&b->conf);
}

static void enter(struct box *b, size_t replica, size_t i, unsigned priority)
{
    struct replica *r = &b->replicas[replica];
    r->waits[i] = shared_next_id(r->shared);
    tell_ticket(r, i, priority);
}

static void leave(struct box *b, size_t replica, size_t i)
{
    struct replica *r = &b->replicas[replica];
    uint64_t id = r->runs[i];
    r->runs[i] = 0;
    shared_leave(r->shared, id);
}

static void test_one_line_for_both(void **state)
{
    struct box b;
    size_t place;
    int64_t wait_ms;
    (void)state;
    begin(&b);
    enter(&b, 0, 0, 5);
    TURN_UNTIL(&b, strcmp(b.order, "a") == 0);
    enter(&b, 1, 0, 5);
    TURN_UNTIL(&b, (shared_place(b.replicas[1].shared, b.replicas[1].waits[0], &place, &wait_ms), place == 1));
    enter(&b, 0, 1, 9); /* came later, and is more urgent */
    TURN_UNTIL(&b, (shared_place(b.replicas[1].shared, b.replicas[1].waits[0], &place, &wait_ms), place == 2));
    leave(&b, 0, 0);
    TURN_UNTIL(&b, strcmp(b.order, "ab") == 0);
    leave(&b, 0, 1);
    TURN_UNTIL(&b, strcmp(b.order, "abA") == 0); /* by what is published for it */
    leave(&b, 1, 0);
    assert_int_equal(b.most_n, 1);
    end(&b);
}

static void test_redis_is_killed_and_comes_back_empty(void **state)
{
    struct box b;
    (void)state;
    begin(&b);
    enter(&b, 0, 0, 5);
    TURN_UNTIL(&b, strcmp(b.order, "a") == 0);
    enter(&b, 1, 0, 5);
    enter(&b, 0, 1, 5);
    kill_redis(&b);
    TURN_UNTIL(&b, b.replicas[0].state == SHARED_AWAY && b.replicas[1].state == SHARED_AWAY);
    assert_int_equal(b.replicas[0].replicas_n, REPLICAS);
    start_redis(&b);
    TURN_UNTIL(&b, b.replicas[0].state == SHARED_UP && b.replicas[1].state == SHARED_UP);
    TURN_UNTIL(&b, b.replicas[0].shared->replicas_n == REPLICAS);
    assert_string_equal(b.order, "a"); /* what was held still is */
    leave(&b, 0, 0);
    TURN_UNTIL(&b, strlen(b.order) == 2);
    leave(&b, b.order[1] == 'A', b.order[1] == 'b');
    TURN_UNTIL(&b, strlen(b.order) == 3);
    assert_int_equal(b.most_n, 1);
    end(&b);
}

static void test_drains_and_speeds_reach_the_other(void **state)
{
    struct box b;
    (void)state;
    begin(&b);
    shared_learnt(b.replicas[0].shared, "one", "m:1", "1 2 3");
    TURN_UNTIL(&b, strcmp(b.replicas[1].drained, "one m:1 1 2 3") == 0);
    shared_drain(b.replicas[0].shared, "one", 1);
    TURN_UNTIL(&b, strcmp(b.replicas[1].drained, "one 1") == 0);
    assert_string_equal(b.replicas[0].drained, "");
    shared_drain(b.replicas[1].shared, "one", 0);
    TURN_UNTIL(&b, strcmp(b.replicas[0].drained, "one 0") == 0);
    end(&b);
}

static void test_who_goes_gives_back_what_it_has(void **state)
{
    struct box b;
    (void)state;
    begin(&b);
    enter(&b, 0, 0, 5);
    TURN_UNTIL(&b, strcmp(b.order, "a") == 0);
    enter(&b, 1, 0, 5);
    TURN_UNTIL(&b, b.replicas[1].shared->replicas_n == 2);
    shared_free(&b.replicas[0].shared);
    TURN_UNTIL(&b, strcmp(b.order, "aA") == 0);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_line_for_both),
        cmocka_unit_test(test_redis_is_killed_and_comes_back_empty),
        cmocka_unit_test(test_drains_and_speeds_reach_the_other),
        cmocka_unit_test(test_who_goes_gives_back_what_it_has),
    };
    log_init("test", LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
