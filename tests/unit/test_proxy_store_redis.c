/* proxy/store/redis: who is let in, what is answered in which turn, and what becomes of a peer that answers wrongly, late, or never. */
#include "proxy/store/redis.h"
#include "proxy/store/redis_why.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/played_redis.h"

struct box {
    struct loop loop;
    struct played played;
    struct redis_url url;
    struct redis_ops ops;
    struct redis *redis;
    unsigned up_n, down_n, replies_n, lost_n;
    char why[512], got[512], message[64];
    const char *answer; /* to what is no greeting */
    const char *pong;   /* to PING */
    const char *named;  /* to CLIENT SETNAME */
};

static void on_up(void *context)
{
    struct box *b = context;
    b->up_n++;
}

static void on_down(void *context, const char *why)
{
    struct box *b = context;
    b->down_n++;
    snprintf(b->why, sizeof b->why, "%s", why);
}

static void on_message(void *context, const char *text, size_t text_n)
{
    struct box *b = context;
    snprintf(b->message, sizeof b->message, "%.*s", (int)text_n, text);
}

static void on_reply(void *context, const redisReply *reply)
{
    struct box *b = context;
    size_t n = strlen(b->got);
    b->replies_n++;
    b->lost_n += !reply;
    snprintf(b->got + n, sizeof b->got - n, "%s ", !reply ? "-" : reply->type == REDIS_REPLY_INTEGER ? "integer" : reply->str);
}

static void play(struct played *p, struct played_client *c, const char *const *words, size_t words_n)
{
    struct box *b = p->context;
    (void)words_n;
    if (strcmp(words[0], "PING") == 0)
        played_say(c, b->pong);
    else if (strcmp(words[0], "AUTH") == 0)
        played_say(c, strcmp(words[words_n - 1], "secret") == 0 ? "+OK\r\n" : "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
    else if (strcmp(words[0], "CLIENT") == 0)
        played_say(c, b->named);
    else if (strcmp(words[0], "SELECT") == 0)
        played_say(c, "+OK\r\n");
    else if (b->answer)
        played_say(c, b->answer);
}

static void begin_at(struct box *b, const char *password, const char *url)
{
    char why[PARSE_WHY_BYTES];
    *b = (struct box){.pong = "+PONG\r\n", .named = "-NOPERM this user has no permissions\r\n", .answer = "+OK\r\n"};
    assert_int_equal(loop_init(&b->loop), 0);
    played_begin(&b->played, &b->loop);
    b->played.command = play;
    b->played.context = b;
    assert_int_equal(redis_url_parse(url ? url : b->played.url, &b->url, why), 0);
    b->ops = (struct redis_ops){on_up, on_down, on_message, b};
    struct redis_site site = {&b->loop, &b->url, password, "tester", 300};
    assert_int_equal(redis_new(&b->redis, &site, &b->ops), 0);
}

static void begin(struct box *b)
{
    begin_at(b, "", NULL);
}

static void end(struct box *b)
{
    redis_free(&b->redis);
    assert_null(b->redis);
    played_end(&b->played);
    assert_int_equal(loop_turn(&b->loop, 0), 0);
    loop_fini(&b->loop);
}

static void say(struct box *b, const char *word)
{
    redis_begin(b->redis);
    redis_add_text(b->redis, word);
    assert_int_equal(redis_send(b->redis, on_reply, b), 0);
}

static void test_it_is_let_in_and_answered_in_turn(void **state)
{
    struct box b;
    (void)state;
    begin_at(&b, "secret", NULL);
    b.url.database = 3;
    redis_begin(b.redis);
    assert_int_equal(redis_send(b.redis, on_reply, &b), -ENOTCONN);
    TURN_UNTIL(&b.loop, b.up_n == 1);
    assert_string_equal(b.played.said, "AUTH secret\nSELECT 3\nCLIENT SETNAME tester\nPING\n");
    b.answer = ":1\r\n+two\r\n$5\r\nthree\r\n";
    say(&b, "ONE");
    b.played.said[0] = '\0';
    TURN_UNTIL(&b.loop, *b.played.said);
    b.answer = "";
    say(&b, "TWO");
    say(&b, "THREE");
    assert_int_equal(b.down_n, 0);
    end(&b);
}

static void test_replies_belong_to_commands_in_their_order(void **state)
{
    struct box b;
    (void)state;
    begin(&b);
    TURN_UNTIL(&b.loop, b.up_n == 1);
    b.answer = NULL;
    say(&b, "ONE");
    say(&b, "TWO");
    say(&b, "THREE");
    TURN_UNTIL(&b.loop, strstr(b.played.said, "THREE"));
    played_say(&b.played.clients[0], ":1\r\n-ERR t");
    TURN_UNTIL(&b.loop, b.replies_n == 1);
    played_say(&b.played.clients[0], "wo\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n$5\r\nthree\r\n");
    TURN_UNTIL(&b.loop, b.replies_n == 3);
    assert_string_equal(b.got, "integer ERR two three ");
    assert_string_equal(b.message, "hello");
    assert_int_equal(b.down_n, 0);
    end(&b);
}

static void test_words_may_hold_anything(void **state)
{
    struct box b;
    (void)state;
    begin(&b);
    TURN_UNTIL(&b.loop, b.up_n == 1);
    redis_begin(b.redis);
    redis_add_text(b.redis, "SET");
    redis_add(b.redis, "a\r\n$1\r\nb", 9);
    redis_add_number(b.redis, INT64_MIN);
    assert_int_equal(redis_send(b.redis, on_reply, &b), 0);
    TURN_UNTIL(&b.loop, b.replies_n == 1);
    assert_non_null(strstr(b.played.said, "SET a\r\n$1\r\nb -9223372036854775808\n"));
    end(&b);
}

static void test_what_is_under_way_is_told_that_it_is_lost(void **state)
{
    struct box b;
    (void)state;
    begin(&b);
    TURN_UNTIL(&b.loop, b.up_n == 1);
    b.answer = NULL;
    say(&b, "ONE");
    say(&b, "TWO");
    TURN_UNTIL(&b.loop, strstr(b.played.said, "TWO"));
    played_hang_up_all(&b.played);
    TURN_UNTIL(&b.loop, b.down_n == 1);
    assert_int_equal(b.lost_n, 2);
    assert_string_equal(b.why, "it has closed the connection");
    TURN_UNTIL(&b.loop, b.up_n == 2); /* and it comes again */
    b.answer = "+OK\r\n";
    say(&b, "THREE");
    TURN_UNTIL(&b.loop, b.replies_n == 3);
    end(&b);
}

static void test_a_peer_that_is_silent_is_left(void **state)
{
    struct box b;
    (void)state;
    begin(&b);
    b.pong = "";
    TURN_UNTIL(&b.loop, b.down_n == 1);
    assert_int_equal(b.up_n, 0);
    assert_non_null(strstr(b.why, "in time"));
    b.pong = "+PONG\r\n";
    TURN_UNTIL(&b.loop, b.up_n == 1);
    b.answer = NULL;
    say(&b, "ONE");
    TURN_UNTIL(&b.loop, b.down_n == 2);
    assert_int_equal(b.lost_n, 1);
    end(&b);
}

static void test_who_does_not_let_us_in_is_told_in_words(void **state)
{
    static const struct { const char *pong, *why; } rows[] = {
        {"-NOAUTH Authentication required.\r\n", "password_file"},
        {"-LOADING Redis is loading the dataset in memory\r\n", "asked again"},
        {"-ERR max number of clients reached\r\n", "maxclients"},
        {"-odd \"\x1b[31m\r\n", "odd '?[31m"},
        {"HTTP/1.1 400 Bad Request\r\n", "no Redis"},
        {"220 mail ESMTP\r\n", "no Redis"},
        {":1\r\n", "no Redis"},
        {"*-1\r\n", "no Redis"},
        {"*65537\r\n", "memory"},
        {"*2147483647\r\n", "memory"},
        {"*65536\r\n:1\r\n", "in time"},
        {"+PONG\r\n+PONG\r\n", "nobody asked for"},
        {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "no Redis"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct box b;
        begin(&b);
        b.pong = rows[i].pong;
        TURN_UNTIL(&b.loop, b.down_n == 1);
        if (!strstr(b.why, rows[i].why))
            fail_msg("%s: %s", rows[i].pong, b.why);
        assert_int_equal(redis_state(b.redis), REDIS_PAUSE);
        end(&b);
    }
}

/* Its words come in the place of the first reply, whatever was asked. */
static void test_a_protected_one_is_told_in_words(void **state)
{
    struct box b;
    (void)state;
    begin(&b);
    b.named = "-DENIED Redis is running in protected mode because no password is set for the default user.\r\n";
    TURN_UNTIL(&b.loop, b.down_n == 1);
    assert_non_null(strstr(b.why, "protected-mode no"));
    assert_int_equal(redis_state(b.redis), REDIS_PAUSE);
    end(&b);
}

static void test_a_wrong_password_is_told_and_not_shown(void **state)
{
    struct box b;
    (void)state;
    begin_at(&b, "s3cret", NULL);
    TURN_UNTIL(&b.loop, b.down_n == 1);
    assert_non_null(strstr(b.why, "does not take the user or the password"));
    assert_null(strstr(b.why, "s3cret"));
    end(&b);
}

static void test_a_socket_that_is_not_there_is_tried_with_growing_pauses(void **state)
{
    struct box b;
    (void)state;
    begin_at(&b, "", "unix:///nowhere/redis");
    int64_t at_ms[3];
    for (unsigned i = 0; i < 3; i++) {
        TURN_UNTIL(&b.loop, b.down_n == i + 1);
        at_ms[i] = loop_now_ms(&b.loop);
    }
    assert_string_equal(b.why, "No such file or directory");
    assert_true(at_ms[1] - at_ms[0] >= 500 && at_ms[2] - at_ms[1] >= 1000);
    end(&b);
}

static void test_a_name_that_nobody_knows_is_told(void **state)
{
    struct box b;
    (void)state;
    begin_at(&b, "", "redis://no-such-host.invalid");
    TURN_UNTIL(&b.loop, b.down_n == 1);
    assert_true(strncmp(b.why, "no-such-host.invalid: ", 22) == 0 || strstr(b.why, "name is not found in time"));
    end(&b);
}

static void test_who_is_refused_again_and_again_waits_longer(void **state)
{
    struct box b;
    (void)state;
    begin(&b);
    for (unsigned i = 1; i <= 3; i++) {
        TURN_UNTIL(&b.loop, b.up_n == i);
        int64_t now_ms = loop_now_ms(&b.loop);
        redis_refuse(b.redis, "READONLY");
        redis_refuse(b.redis, "once is enough");
        assert_int_equal(b.down_n, i);
        assert_string_equal(b.why, "READONLY");
        TURN_UNTIL(&b.loop, b.up_n == i + 1);
        assert_true(loop_now_ms(&b.loop) - now_ms >= (250 << i));
    }
    end(&b);
}

static void test_too_many_commands_at_once_are_refused(void **state)
{
    struct box b;
    int error = 0;
    (void)state;
    begin(&b);
    TURN_UNTIL(&b.loop, b.up_n == 1);
    for (unsigned i = 0; i < 4097 && !error; i++) {
        redis_begin(b.redis);
        redis_add_text(b.redis, "ONE");
        error = redis_send(b.redis, NULL, NULL);
    }
    assert_int_equal(error, -ENOBUFS);
    end(&b);
}

static void test_errors_in_words(void **state)
{
    static const struct { const char *error, *words; } rows[] = {
        {"READONLY You can't write against a read only replica.", "primary"},
        {"OOM command not allowed when used memory > 'maxmemory'.", "maxmemory"},
        {"MOVED 3999 127.0.0.1:6381", "Cluster"},
        {"WRONGTYPE Operation against a key holding the wrong kind of value", "prefix"},
        {"ERR Error running script (call to f_1): @user_script:3: WRONGTYPE Operation", "prefix"},
        {"ERR Client sent AUTH, but no password is set", "leave out ours"},
        {"ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?", "leave out ours"},
        {"ERR unknown command 'EVALSHA'", "Redis 5"},
        {"ERR DB index is out of range", "database"},
        {"SIDECAR SCHEMA 2", "one version"},
    };
    char why[REDIS_WHY_BYTES], text[2000];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        redis_why(rows[i].error, why);
        if (!strstr(why, rows[i].words))
            fail_msg("%s: %s", rows[i].error, why);
    }
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    redis_why(text, why);
    assert_int_equal(strlen(why), 120);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_let_in_and_answered_in_turn),
        cmocka_unit_test(test_replies_belong_to_commands_in_their_order),
        cmocka_unit_test(test_words_may_hold_anything),
        cmocka_unit_test(test_what_is_under_way_is_told_that_it_is_lost),
        cmocka_unit_test(test_a_peer_that_is_silent_is_left),
        cmocka_unit_test(test_who_does_not_let_us_in_is_told_in_words),
        cmocka_unit_test(test_a_protected_one_is_told_in_words),
        cmocka_unit_test(test_a_wrong_password_is_told_and_not_shown),
        cmocka_unit_test(test_a_socket_that_is_not_there_is_tried_with_growing_pauses),
        cmocka_unit_test(test_a_name_that_nobody_knows_is_told),
        cmocka_unit_test(test_who_is_refused_again_and_again_waits_longer),
        cmocka_unit_test(test_too_many_commands_at_once_are_refused),
        cmocka_unit_test(test_errors_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
