/* supervisor/probe: against a scripted server in the same loop. */
#include "supervisor/probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CLIENTS_MAX = 64, TURNS_MAX = 5000 };

/* What the server does with one connection. */
struct step {
    const char *answer; /* NULL: says nothing */
    int is_split;       /* a byte a turn */
    int is_kept;        /* left open afterwards */
};

struct peer {
    struct server *server;
    int fd;
    const struct step *step;
    size_t sent_n;
    char question[1024];
    size_t question_n;
};

struct server {
    struct loop loop;
    struct address address;
    int fd;
    const struct step *steps; /* one a connection; the last one for all that follow */
    size_t steps_n;
    struct peer peers[CLIENTS_MAX];
    size_t peers_n;
    struct probe probe;
    struct probe_room room;
    unsigned answered_n, missed_n;
};

static void peer_close(struct peer *p)
{
    if (p->fd < 0)
        return;
    loop_remove(&p->server->loop, p->fd);
    sys_close(p->fd);
    p->fd = -1;
}

static void peer_ready(void *context, short revents)
{
    struct peer *p = context;
    (void)revents;
    ssize_t n = sys_recv(p->fd, p->question + p->question_n, sizeof p->question - 1 - p->question_n, 0);
    if (n == 0 || (n < 0 && n != -EAGAIN)) {
        peer_close(p);
        return;
    }
    if (n > 0)
        p->question_n += (size_t)n;
    if (!strstr(p->question, "\r\n\r\n") || !p->step->answer)
        return;
    size_t answer_n = strlen(p->step->answer), part_n = p->step->is_split ? 1 : answer_n;
    if (p->sent_n < answer_n) {
        n = sys_send(p->fd, p->step->answer + p->sent_n, part_n, 0);
        p->sent_n += n > 0 ? (size_t)n : 0;
    }
    if (p->sent_n < answer_n)
        loop_set_events(&p->server->loop, p->fd, POLLIN | POLLOUT);
    else if (!p->step->is_kept)
        peer_close(p);
    else
        loop_set_events(&p->server->loop, p->fd, POLLIN);
}

static void server_ready(void *context, short revents)
{
    struct server *s = context;
    struct sockaddr_storage from;
    socklen_t from_n;
    (void)revents;
    int fd = sys_accept(s->fd, &from, &from_n);
    assert_true(fd >= 0 && s->peers_n < CLIENTS_MAX);
    assert_int_equal(sys_setsockopt_int(fd, IPPROTO_TCP, TCP_NODELAY, 1), 0);
    size_t i = s->peers_n < s->steps_n ? s->peers_n : s->steps_n - 1;
    struct peer *p = &s->peers[s->peers_n++];
    *p = (struct peer){.server = s, .fd = fd, .step = &s->steps[i]};
    assert_int_equal(loop_add(&s->loop, fd, POLLIN, peer_ready, p), 0);
    if (p->step->answer && !*p->step->answer) /* closes at once */
        peer_close(p);
}

static void told(void *context, int is_good)
{
    struct server *s = context;
    s->answered_n += is_good ? 1 : 0;
    s->missed_n += is_good ? 0 : 1;
}

static void server_init(struct server *s, const struct step *steps, size_t steps_n)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage at;
    socklen_t at_n;
    memset(s, 0, sizeof *s);
    s->steps = steps;
    s->steps_n = steps_n;
    assert_int_equal(loop_init(&s->loop), 0);
    s->fd = sys_socket(AF_INET, SOCK_STREAM, 0);
    assert_true(s->fd >= 0);
    assert_int_equal(sys_bind(s->fd, (struct sockaddr *)&in4, sizeof in4), 0);
    assert_int_equal(sys_listen(s->fd, 16), 0);
    assert_int_equal(sys_socket_name(s->fd, &at, &at_n), 0);
    address_from_sockaddr(&at, &s->address);
    assert_int_equal(loop_add(&s->loop, s->fd, POLLIN, server_ready, s), 0);
    memset(&s->room, 'x', sizeof s->room); /* as the program before left it */
    probe_init(&s->probe, &s->loop, &s->room, told, s);
}

static void server_fini(struct server *s)
{
    probe_stop(&s->probe);
    probe_stop(&s->probe); /* harmless */
    for (size_t i = 0; i < s->peers_n; i++)
        peer_close(&s->peers[i]);
    loop_remove(&s->loop, s->fd);
    sys_close(s->fd);
    assert_int_equal(timerq_next_ms(&s->loop.timers), -1);
    loop_fini(&s->loop);
}

/* Turns the loop until the probe has its answer, or so many connections were made. */
static void run(struct server *s, size_t connections_n)
{
    for (int i = 0; i < TURNS_MAX && !s->answered_n && s->peers_n < connections_n; i++)
        assert_int_equal(loop_turn(&s->loop, 100), 0);
}

#define STEPS(...) (const struct step[]){__VA_ARGS__}, sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step)

static const char tags[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"models\":[]}";
static const char sized[] = "HTTP/1.1 200 OK\r\ncontent-LENGTH: 13\r\n\r\n{\"models\":[]}";
static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n{\"models\":[]}\r\n0\r\n\r\n";

static void test_a_good_answer_is_told_once(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, STEPS({tags, 0, 0}));
    probe_start(&s.probe, &s.address, "/api/tags", "\"models\"");
    run(&s, 10);
    assert_int_equal(s.answered_n, 1);
    assert_int_equal(s.peers_n, 1);
    assert_int_equal(s.probe.fd, -1);
    char host[ADDRESS_TEXT_BYTES], question[400];
    address_text(&s.address, host);
    snprintf(question, sizeof question, "GET /api/tags HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);
    assert_string_equal(s.peers[0].question, question);
    for (int i = 0; i < 5; i++)
        assert_int_equal(loop_turn(&s.loop, 0), 0);
    assert_int_equal(s.answered_n, 1); /* and nothing more is asked */
    assert_int_equal(s.peers_n, 1);
    server_fini(&s);
}

static void test_it_asks_again_until_the_answer_is_good(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, STEPS({"", 0, 0}, {"HTTP/1.1 500 Internal Server Error\r\n\r\n{\"models\":[]}", 0, 0},
                          {"HTTP/1.1 200 OK\r\n\r\n<html>Welcome</html>", 0, 0}, {"HTTP/1.1 301 Moved\r\n\r\n", 0, 0},
                          {"SSH-2.0-OpenSSH_9.2\r\n", 0, 0}, {"HTTP/1.1 200", 0, 0}, {"x", 0, 0},
                          {"HTTP/2.0 200 OK\r\n\r\n\"models\"", 0, 0}, {"HTTP/1.1 200 OK\r\nX: \"models\"\r\n\r\n{}", 0, 0},
                          {tags, 0, 0}));
    probe_start(&s.probe, &s.address, "/api/tags", "\"models\"");
    run(&s, 20);
    assert_int_equal(s.answered_n, 1);
    assert_int_equal(s.peers_n, 10);
    server_fini(&s);
}

static void test_why_the_last_answer_was_bad(void **state)
{
    (void)state;
    static const struct {
        struct step step;
        const char *why;
    } cases[] = {
        {{"", 0, 0}, "closed without an answer"},
        {{"HTTP/1.1 500 Oops\r\n\r\n", 0, 0}, "answers \"HTTP/1.1 500 Oops\""},
        {{"HTTP/1.1 200 OK\r\n\r\n<html>", 0, 0}, "answers \"HTTP/1.1 200 OK\", but not as Ollama does"},
        {{"SSH-2.0-OpenSSH_9.2 with a banner that goes on and on and on and on\r\n", 0, 0},
         "answers \"SSH-2.0-OpenSSH_9.2 with a banner that g\""},
        {{"ab", 0, 0}, "answers \"ab\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server s;
        server_init(&s, &cases[i].step, 1);
        probe_start(&s.probe, &s.address, "/", "\"models\"");
        run(&s, 2);
        assert_string_equal(s.probe.why, cases[i].why);
        server_fini(&s);
    }
}

static void test_a_short_answer_after_a_good_line_says_what_it_is(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, STEPS({"HTTP/1.1 200 OK\r\n\r\n", 0, 0}, {"ab", 0, 0}));
    probe_start(&s.probe, &s.address, "/", "\"models\"");
    run(&s, 3);
    assert_string_equal(s.probe.why, "answers \"ab\""); /* nothing of the answer before */
    server_fini(&s);
}

static void test_an_answer_byte_by_byte(void **state)
{
    (void)state;
    static const struct step steps[] = {{tags, 1, 0}, {sized, 1, 1}, {chunked, 1, 1}}; /* the last two keep the connection */
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct server s;
        server_init(&s, &steps[i], 1);
        probe_start(&s.probe, &s.address, "/api/tags", "\"models\"");
        run(&s, 2);
        assert_int_equal(s.answered_n, 1);
        assert_int_equal(s.peers_n, 1);
        assert_int_equal(s.peers[0].sent_n, strlen(steps[i].answer)); /* not before its end */
        server_fini(&s);
    }
}

static void test_without_a_text_the_status_is_enough(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, STEPS({"HTTP/1.0 200 OK\r\n", 1, 1})); /* it does not even end */
    probe_start(&s.probe, &s.address, "/", NULL);
    run(&s, 2);
    assert_int_equal(s.answered_n, 1);
    server_fini(&s);
}

static void test_an_answer_without_end_is_given_up(void **state)
{
    (void)state;
    struct server s;
    char *endless = malloc(40001);
    assert_non_null(endless);
    memset(endless, 'x', 40000);
    endless[40000] = '\0';
    memcpy(endless, "HTTP/1.1 200 OK\r\n\r\n", 19);
    struct step steps[] = {{endless, 0, 1}, {tags, 0, 0}};
    server_init(&s, steps, 2);
    probe_start(&s.probe, &s.address, "/", "\"models\"");
    run(&s, 5);
    assert_int_equal(s.answered_n, 1);
    assert_int_equal(s.peers_n, 2);
    server_fini(&s);
    free(endless);
}

/* scenario 41: it has accepted, and says nothing */
static void test_a_server_that_hangs_is_left_after_two_seconds(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, STEPS({NULL, 0, 1}, {tags, 0, 0}));
    probe_start(&s.probe, &s.address, "/", "\"models\"");
    for (int i = 0; i < TURNS_MAX && s.peers[0].question_n == 0; i++)
        assert_int_equal(loop_turn(&s.loop, 100), 0);
    enum { BUSY_MS = 100 }; /* so long the loop may have been kept from running, which counts for no limit */
    int64_t given_up_ms = timerq_next_ms(&s.loop.timers);
    assert_true(given_up_ms > loop_now_ms(&s.loop) && given_up_ms <= loop_now_ms(&s.loop) + 2000 + BUSY_MS);
    loop_arm(&s.loop, &s.probe.timer, loop_now_ms(&s.loop)); /* as if the time had passed */
    assert_int_equal(loop_turn(&s.loop, 0), 0);
    assert_string_equal(s.probe.why, "no answer within 2s");
    assert_int_equal(s.probe.state, PROBE_WAITING);
    run(&s, 5);
    assert_int_equal(s.answered_n, 1);
    assert_int_equal(s.peers_n, 2);
    server_fini(&s);
}

static void test_a_refused_connection_is_tried_again(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, STEPS({tags, 0, 0}));
    loop_remove(&s.loop, s.fd);
    sys_close(s.fd); /* nobody listens there now */
    probe_start(&s.probe, &s.address, "/", NULL);
    for (int i = 0; i < TURNS_MAX && !s.probe.why[0]; i++)
        assert_int_equal(loop_turn(&s.loop, 100), 0);
    assert_string_equal(s.probe.why, "Connection refused");
    assert_int_equal(s.probe.state, PROBE_WAITING);
    int64_t pause_ms = timerq_next_ms(&s.loop.timers) - loop_now_ms(&s.loop);
    assert_true(pause_ms > 0 && pause_ms <= 5);
    s.fd = -1;
    server_fini(&s);
}

static void test_it_asks_more_and_more_rarely(void **state)
{
    (void)state;
    static const struct {
        int64_t age_ms, pause_ms;
    } cases[] = {{0, 10}, {1900, 10}, {2100, 100}, {9900, 100}, {10100, 500}, {3600000, 500}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct server s;
        server_init(&s, STEPS({"", 0, 0}));
        probe_start(&s.probe, &s.address, "/", NULL);
        s.probe.started_at_ms -= cases[i].age_ms;
        for (int k = 0; k < TURNS_MAX && !s.probe.why[0]; k++)
            assert_int_equal(loop_turn(&s.loop, 100), 0);
        int64_t pause_ms = timerq_next_ms(&s.loop.timers) - loop_now_ms(&s.loop);
        assert_true(pause_ms > 0 && pause_ms <= cases[i].pause_ms);
        assert_true(cases[i].pause_ms == 10 || pause_ms > cases[i].pause_ms / 2);
        server_fini(&s);
    }
}

static void test_a_stop_in_the_middle_asks_no_more(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, STEPS({NULL, 0, 1}));
    probe_start(&s.probe, &s.address, "/", NULL);
    for (int i = 0; i < TURNS_MAX && s.peers[0].question_n == 0; i++)
        assert_int_equal(loop_turn(&s.loop, 100), 0);
    probe_stop(&s.probe);
    assert_int_equal(s.probe.fd, -1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(loop_turn(&s.loop, 0), 0);
    assert_int_equal(s.peers_n, 1);
    assert_int_equal(s.answered_n, 0);
    probe_start(&s.probe, &s.address, "/", NULL); /* and it can begin anew */
    run(&s, 2);
    assert_int_equal(s.peers_n, 2);
    server_fini(&s);
}

/* Turns the loop until so many tries have been told of. */
static void run_tries(struct server *s, unsigned tries_n)
{
    for (int i = 0; i < TURNS_MAX && s->answered_n + s->missed_n < tries_n; i++)
        assert_int_equal(loop_turn(&s->loop, 100), 0);
    assert_int_equal(s->answered_n + s->missed_n, tries_n);
}

static void test_a_watch_goes_on_and_tells_each_try(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, STEPS({tags, 0, 0}, {"HTTP/1.1 500 Oops\r\n\r\n", 0, 0}, {tags, 0, 0}));
    probe_watch(&s.probe, &s.address, "/api/tags", "\"models\"", 200); /* no answer comes as late, on a busy machine either */
    assert_true(timerq_next_ms(&s.loop.timers) >= loop_now_ms(&s.loop) + 200); /* the first after an interval */
    run_tries(&s, 1);
    assert_int_equal(s.answered_n, 1);
    assert_string_equal(s.probe.why, "");
    int64_t pause_ms = timerq_next_ms(&s.loop.timers) - loop_now_ms(&s.loop);
    assert_true(pause_ms > 0 && pause_ms <= 200);
    run_tries(&s, 2);
    assert_int_equal(s.missed_n, 1);
    assert_string_equal(s.probe.why, "answers \"HTTP/1.1 500 Oops\"");
    run_tries(&s, 3);
    assert_int_equal(s.answered_n, 2);
    server_fini(&s);
}

static void test_a_watch_waits_an_interval_for_an_answer(void **state)
{
    (void)state;
    struct server s;
    server_init(&s, STEPS({NULL, 0, 1}));
    probe_watch(&s.probe, &s.address, "/", NULL, 40);
    run_tries(&s, 2);
    assert_int_equal(s.missed_n, 2);
    assert_string_equal(s.probe.why, "no answer within 40 ms");
    server_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_good_answer_is_told_once),
        cmocka_unit_test(test_it_asks_again_until_the_answer_is_good),
        cmocka_unit_test(test_why_the_last_answer_was_bad),
        cmocka_unit_test(test_a_short_answer_after_a_good_line_says_what_it_is),
        cmocka_unit_test(test_an_answer_byte_by_byte),
        cmocka_unit_test(test_without_a_text_the_status_is_enough),
        cmocka_unit_test(test_an_answer_without_end_is_given_up),
        cmocka_unit_test(test_a_server_that_hangs_is_left_after_two_seconds),
        cmocka_unit_test(test_a_refused_connection_is_tried_again),
        cmocka_unit_test(test_it_asks_more_and_more_rarely),
        cmocka_unit_test(test_a_stop_in_the_middle_asks_no_more),
        cmocka_unit_test(test_a_watch_goes_on_and_tells_each_try),
        cmocka_unit_test(test_a_watch_waits_an_interval_for_an_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
