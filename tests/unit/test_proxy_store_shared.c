/* proxy/store/shared: what is told to Redis and heard from it, when it comes, goes, forgets, or answers wrongly. */
#include "proxy/store/shared_call.h"

#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/played_redis.h"

#define SHA "0123456789012345678901234567890123456789"
#define BEAT(replicas, lost, missed, places, drained, learnt, is_new) \
    "*8\r\n:" #replicas "\r\n" lost missed places drained learnt ":" #is_new "\r\n:0\r\n"
#define NONE "*0\r\n"

struct box {
    struct loop loop;
    struct played played;
    struct conf *conf;
    struct shared *shared;
    const char *beat, *others; /* what is answered */
    const char *load;
    char told[1024];           /* what the owner is */
    uint64_t known;            /* the ticket that it takes grants for */
    int is_kept;
    struct played_client *ears; /* the connection that has subscribed */
};

static void tell(struct box *b, const char *format, ...) PRINTF_LIKE(2, 3);
static void tell(struct box *b, const char *format, ...)
{
    size_t n = strlen(b->told);
    va_list args;
    va_start(args, format);
    vsnprintf(b->told + n, sizeof b->told - n, format, args);
    va_end(args);
}

static void on_state(void *context, enum shared_state state, unsigned replicas_n)
{
    tell(context, "%s %u. ", state == SHARED_UP ? "up" : "away", replicas_n);
}

static int on_granted(void *context, uint64_t id, const char *backend)
{
    struct box *b = context;
    tell(b, "granted %s. ", backend);
    return id == b->known ? 0 : -1;
}

static void on_lost(void *context, uint64_t id)
{
    struct box *b = context;
    tell(b, "lost. ");
    if (b->is_kept)
        shared_keep(b->shared, id);
}

static void on_drained(void *context, const char *backend, int is_drained)
{
    tell(context, "drained %s %d. ", backend, is_drained);
}

static void on_learnt(void *context, const char *backend, const char *model, const char *text)
{
    tell(context, "learnt %s %s %s. ", backend, model, text);
}

static void play(struct played *p, struct played_client *c, const char *const *words, size_t words_n)
{
    struct box *b = p->context;
    if (strcmp(words[0], "PING") == 0)
        played_say(c, "+PONG\r\n");
    else if (strcmp(words[0], "SUBSCRIBE") == 0)
        played_say((b->ears = c), "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n");
    else if (strcmp(words[0], "SCRIPT") == 0)
        played_say(c, b->load);
    else if (words_n > 6 && strcmp(words[0], "EVALSHA") == 0)
        played_say(c, strcmp(words[5], "beat") == 0 ? b->beat : strcmp(words[5], "backend") == 0 ? "*2\r\n*0\r\n:0\r\n" : b->others);
    else
        played_say(c, "+OK\r\n");
    if (strcmp(words[0], "SCRIPT") == 0)
        *p->said = '\0'; /* it is long */
}

/* shared_new with a configuration that has this url. */
static void begin(struct box *b)
{
    struct diag d;
    char *environment[] = {NULL, NULL, NULL};
    char url[160], lease[] = "SIDECAR_REDIS_LEASE=1s";
    *b = (struct box){.beat = BEAT(2, NONE, NONE, NONE, NONE, NONE, 1), .others = NONE, .load = "$40\r\n" SHA "\r\n"};
    assert_int_equal(loop_init(&b->loop), 0);
    played_begin(&b->played, &b->loop);
    b->played.command = play;
    b->played.context = b;
    snprintf(url, sizeof url, "SIDECAR_REDIS_URL=%s", b->played.url);
    environment[0] = url;
    environment[1] = lease;
    diag_init(&d);
    assert_int_equal(conf_load(&b->conf, "/dev/null", environment, &d), 0);
    diag_fini(&d);
    struct shared_ops ops = {on_state, on_granted, on_lost, on_drained, on_learnt, b};
    assert_int_equal(shared_new(&b->shared, &b->loop, b->conf, &ops), 0);
    assert_int_equal(shared_state(b->shared), SHARED_FIRST);
}

static void end(struct box *b)
{
    shared_free(&b->shared);
    assert_null(b->shared);
    played_end(&b->played);
    assert_int_equal(loop_turn(&b->loop, 0), 0);
    loop_fini(&b->loop);
    conf_free(&b->conf);
}

static void come_up(struct box *b)
{
    begin(b);
    TURN_UNTIL(&b->loop, shared_state(b->shared) == SHARED_UP);
    assert_string_equal(b->told, "up 2. ");
    b->beat = BEAT(2, NONE, NONE, NONE, NONE, NONE, 0);
    *b->told = '\0';
}

static struct shared_ticket *ticket(struct box *b)
{
    static struct shared_ticket t;
    t = (struct shared_ticket){.id = b->known = shared_next_id(b->shared), .model = "m:1", .priority = 7, .payer = 255, .cost_ms = 20, .ways_n = 2,
                               .ways = {{"one", {30, 40}}, {"two", {50, 60}}}};
    return &t;
}

/* Has the ticket that is known waiting there. */
static void enter(struct box *b)
{
    shared_enter(b->shared, ticket(b));
    TURN_UNTIL(&b->loop, strstr(b->played.said, "enter"));
}

static const char *grant_of(const struct box *b, const char *replica, uint64_t id)
{
    static char text[200];
    (void)b;
    snprintf(text, sizeof text, "*1\r\n*3\r\n$%zu\r\n%s\r\n$16\r\n%016llx\r\n$3\r\ntwo\r\n", strlen(replica), replica, (unsigned long long)id);
    return text;
}

static const char *me(struct box *b)
{
    static char text[17];
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(shared_write(b->shared, &out), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    const char *at = strstr(buf_data(&out), "\"replica\":\"");
    assert_non_null(at);
    snprintf(text, sizeof text, "%s", at + 11);
    buf_fini(&out);
    return text;
}

static int said_with_id(struct box *b, const char *command)
{
    char text[64];
    snprintf(text, sizeof text, "%s %s %016llx\n", command, me(b), (unsigned long long)b->known);
    return strstr(b->played.said, text) != NULL;
}

static void test_what_is_told_of_a_ticket(void **state)
{
    struct box b;
    char text[256];
    (void)state;
    come_up(&b);
    enter(&b);
    snprintf(text, sizeof text, "EVALSHA " SHA " 1 ollama-sidecar 1 enter %s %016llx m:1 7 00000000000000ff 20 15000 900000 10000 1000 one 30 40 two 50 60\n",
             me(&b), (unsigned long long)b.known);
    if (!strstr(b.played.said, text))
        fail_msg("%s: %s", text, b.played.said);
    shared_leave(b.shared, b.known);
    shared_leave(b.shared, b.known);
    TURN_UNTIL(&b.loop, said_with_id(&b, "leave"));
    assert_null(strstr(strstr(b.played.said, " leave ") + 1, " leave "));
    end(&b);
}

/* It may have been given slots elsewhere since. */
static void test_only_the_first_beat_says_that_it_has_just_begun(void **state)
{
    struct box b;
    char first[64], later[64];
    (void)state;
    come_up(&b);
    snprintf(first, sizeof first, "beat %s 1000 1\n", me(&b));
    snprintf(later, sizeof later, "beat %s 1000 0\n", me(&b));
    assert_non_null(strstr(b.played.said, first));
    TURN_UNTIL(&b.loop, strstr(b.played.said, later));
    played_hang_up_all(&b.played);
    TURN_UNTIL(&b.loop, shared_state(b.shared) == SHARED_AWAY);
    TURN_UNTIL(&b.loop, shared_state(b.shared) == SHARED_UP);
    assert_null(strstr(b.played.said, first));
    assert_non_null(strstr(b.played.said, later));
    end(&b);
}

static void test_a_grant_is_acknowledged_once_it_is_taken(void **state)
{
    struct box b;
    (void)state;
    come_up(&b);
    struct shared_ticket *t = ticket(&b);
    b.others = grant_of(&b, me(&b), t->id);
    shared_enter(b.shared, t);
    TURN_UNTIL(&b.loop, strstr(b.played.said, "enter"));
    b.others = NONE;
    TURN_UNTIL(&b.loop, said_with_id(&b, "ack"));
    assert_string_equal(b.told, "granted two. ");
    TURN_UNTIL(&b.loop, strstr(strstr(b.played.said, " ack "), " beat ")); /* and renewed from then on */
    char renewed[64];
    snprintf(renewed, sizeof renewed, "beat %s 1000 0 %016llx\n", me(&b), (unsigned long long)t->id);
    assert_non_null(strstr(b.played.said, renewed));
    end(&b);
}

static void test_a_grant_that_is_published_or_was_missed(void **state)
{
    struct box b;
    char text[256];
    (void)state;
    for (int is_missed = 0; is_missed < 2; is_missed++) {
        come_up(&b);
        TURN_UNTIL(&b.loop, b.ears);
        enter(&b);
        if (is_missed) {
            snprintf(text, sizeof text, "*8\r\n:2\r\n" NONE "*1\r\n*2\r\n$16\r\n%016llx\r\n$3\r\ntwo\r\n" NONE NONE NONE ":0\r\n:0\r\n", (unsigned long long)b.known);
            b.beat = text;
        } else {
            snprintf(text, sizeof text, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$20\r\n%016llx two\r\n", (unsigned long long)b.known);
            played_say(b.ears, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\nodd\r\n");
            played_say(b.ears, text);
        }
        TURN_UNTIL(&b.loop, said_with_id(&b, "ack"));
        assert_string_equal(b.told, "granted two. ");
        end(&b);
    }
}

static void test_who_is_not_known_is_handed_back(void **state)
{
    struct box b;
    (void)state;
    come_up(&b);
    enter(&b);
    b.others = grant_of(&b, me(&b), 77);
    shared_learnt(b.shared, "one", "m:1", "1 2 3");
    TURN_UNTIL(&b.loop, strstr(b.played.said, " learnt "));
    b.others = NONE;
    b.known = 77;
    TURN_UNTIL(&b.loop, said_with_id(&b, "back"));
    assert_string_equal(b.told, "");
    end(&b);
}

static void test_anothers_grant_is_none_of_ours(void **state)
{
    struct box b;
    (void)state;
    come_up(&b);
    struct shared_ticket *t = ticket(&b);
    b.others = grant_of(&b, "somebody", t->id);
    shared_enter(b.shared, t);
    TURN_UNTIL(&b.loop, strstr(b.played.said, "enter") && strstr(strstr(b.played.said, "enter"), " beat "));
    assert_null(strstr(b.played.said, " ack "));
    assert_string_equal(b.told, "");
    end(&b);
}

static void test_a_lost_lease_is_told_and_may_be_kept(void **state)
{
    struct box b;
    char text[256];
    (void)state;
    for (int is_kept = 0; is_kept < 2; is_kept++) {
        come_up(&b);
        b.is_kept = is_kept;
        b.known = shared_next_id(b.shared);
        shared_hold(b.shared, b.known, "one", "m:1", 5000);
        snprintf(text, sizeof text, "*8\r\n:2\r\n*1\r\n$16\r\n%016llx\r\n" NONE NONE NONE NONE ":0\r\n:0\r\n", (unsigned long long)b.known);
        TURN_UNTIL(&b.loop, strstr(b.played.said, " hold "));
        b.beat = text;
        TURN_UNTIL(&b.loop, *b.told);
        assert_string_equal(b.told, "lost. ");
        b.beat = BEAT(2, NONE, NONE, NONE, NONE, NONE, 0);
        *b.played.said = '\0';
        shared_hold(b.shared, b.known, "one", "m:1", 5000); /* not while it is lost: another has its slot */
        TURN_UNTIL(&b.loop, strstr(b.played.said, " beat "));
        assert_int_equal(strstr(b.played.said, " hold ") != NULL, is_kept);
        end(&b);
    }
}

static void test_places_drains_and_speeds_are_told(void **state)
{
    struct box b;
    char text[512];
    size_t place;
    int64_t wait_ms;
    (void)state;
    come_up(&b);
    enter(&b);
    shared_place(b.shared, b.known, &place, &wait_ms);
    assert_int_equal(place, 0);
    snprintf(text, sizeof text, "*8\r\n:5\r\n" NONE NONE "*1\r\n*3\r\n$16\r\n%016llx\r\n:3\r\n:1500\r\n"
             "*2\r\n*2\r\n$3\r\none\r\n:1\r\n*2\r\n$3\r\ntwo\r\n:0\r\n*2\r\n*3\r\n$3\r\none\r\n$3\r\nm:1\r\n$3\r\n1 2\r\n*3\r\n$3\r\none\r\n$3\r\nm:2\r\n$-1\r\n:0\r\n:0\r\n",
             (unsigned long long)b.known);
    b.beat = text;
    TURN_UNTIL(&b.loop, *b.told);
    assert_string_equal(b.told, "drained one 1. learnt one m:1 1 2. ");
    shared_place(b.shared, b.known, &place, &wait_ms);
    assert_int_equal(place, 3);
    assert_int_equal(wait_ms, 1500);
    assert_int_equal(b.shared->replicas_n, 5);
    end(&b);
}

static void test_who_was_forgotten_tells_all_anew(void **state)
{
    struct box b;
    (void)state;
    come_up(&b);
    b.beat = BEAT(1, NONE, NONE, NONE, NONE, NONE, 1);
    TURN_UNTIL(&b.loop, *b.told);
    b.beat = BEAT(1, NONE, NONE, NONE, NONE, NONE, 0);
    assert_string_equal(b.told, "up 1. ");
    end(&b);
}

static void test_a_flushed_script_is_loaded_again(void **state)
{
    struct box b;
    (void)state;
    come_up(&b);
    b.others = "-NOSCRIPT No matching script. Please use EVAL.\r\n";
    enter(&b);
    b.others = NONE;
    TURN_UNTIL(&b.loop, *b.told);
    assert_string_equal(b.told, "up 2. "); /* and all is told anew */
    end(&b);
}

static void test_redis_away_and_back(void **state)
{
    static const char *const errors[] = {
        "-READONLY You can't write against a read only replica.\r\n", "-OOM command not allowed\r\n", "-WRONGTYPE x\r\n", "-MOVED 1 h:1\r\n",
        "-SIDECAR SCHEMA 2\r\n", "+OK\r\n", ":1\r\n", "*1\r\n:1\r\n", "*1\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct box b;
        come_up(&b);
        b.others = errors[i];
        shared_enter(b.shared, ticket(&b));
        TURN_UNTIL(&b.loop, shared_state(b.shared) == SHARED_AWAY);
        assert_string_equal(b.told, "away 2. ");
        shared_enter(b.shared, ticket(&b)); /* nothing while it is away */
        b.others = NONE;
        TURN_UNTIL(&b.loop, shared_state(b.shared) == SHARED_UP);
        assert_string_equal(b.told, "away 2. up 2. ");
        end(&b);
    }
}

static void test_a_beat_that_makes_no_sense(void **state)
{
    static const char *const beats[] = {
        "*0\r\n", "$-1\r\n", "*7\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n:0\r\n", BEAT(-1, NONE, NONE, NONE, NONE, NONE, 0),
        BEAT(1, "*1\r\n:1\r\n", NONE, NONE, NONE, NONE, 0), BEAT(1, NONE, "*1\r\n:1\r\n", NONE, NONE, NONE, 0), BEAT(1, NONE, NONE, "$1\r\nx\r\n", NONE, NONE, 0),
        BEAT(1, NONE, NONE, "*1\r\n*3\r\n$16\r\n0000000000000000\r\n:-1\r\n:0\r\n", NONE, NONE, 0), BEAT(1, NONE, NONE, NONE, "*1\r\n*2\r\n$1\r\nx\r\n:2\r\n", NONE, 0),
        BEAT(1, NONE, NONE, NONE, NONE, "*1\r\n*2\r\n:1\r\n:2\r\n", 0), BEAT(1, NONE, NONE, NONE, NONE, NONE, 2),
    };
    (void)state;
    for (size_t i = 0; i < sizeof beats / sizeof *beats; i++) {
        struct box b;
        come_up(&b);
        b.beat = beats[i];
        TURN_UNTIL(&b.loop, shared_state(b.shared) == SHARED_AWAY);
        end(&b);
    }
}

static void test_it_says_good_bye(void **state)
{
    struct box b;
    (void)state;
    come_up(&b);
    shared_free(&b.shared);
    TURN_UNTIL(&b.loop, strstr(b.played.said, " bye "));
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_told_of_a_ticket),
        cmocka_unit_test(test_a_grant_is_acknowledged_once_it_is_taken),
        cmocka_unit_test(test_a_grant_that_is_published_or_was_missed),
        cmocka_unit_test(test_who_is_not_known_is_handed_back),
        cmocka_unit_test(test_anothers_grant_is_none_of_ours),
        cmocka_unit_test(test_a_lost_lease_is_told_and_may_be_kept),
        cmocka_unit_test(test_places_drains_and_speeds_are_told),
        cmocka_unit_test(test_who_was_forgotten_tells_all_anew),
        cmocka_unit_test(test_a_flushed_script_is_loaded_again),
        cmocka_unit_test(test_redis_away_and_back),
        cmocka_unit_test(test_only_the_first_beat_says_that_it_has_just_begun),
        cmocka_unit_test(test_a_beat_that_makes_no_sense),
        cmocka_unit_test(test_it_says_good_bye),
    };
    log_init("test", LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
