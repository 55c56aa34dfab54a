/* proxy/http1: messages out of bytes; each fixture is replayed cut at each offset, and byte by byte. */
#include "proxy/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct replay {
    struct http1 parser;
    struct message message;
    struct buf events;
    struct buf body;
};

static int on_body(void *context, const char *bytes, size_t bytes_n)
{
    struct replay *r = context;
    return buf_append(&r->body, bytes, bytes_n);
}

static void tell_head(struct replay *r, enum http1_side side)
{
    const struct message *m = &r->message;
    int error = side == HTTP1_REQUEST
                    ? buf_printf(&r->events, "%.*s %.*s 1.%u", (int)m->method_name.n, message_at(m, m->method_name),
                                 (int)m->target.n, message_at(m, m->target), m->minor)
                    : buf_printf(&r->events, "%d 1.%u", m->status, m->minor);
    assert_int_equal(error, 0);
    for (size_t i = 0; i < m->fields_n; i++) {
        const struct field *f = &m->fields[i];
        assert_int_equal(buf_printf(&r->events, "|%.*s=%.*s", (int)f->name.n, message_at(m, f->name), (int)f->value.n,
                                    message_at(m, f->value)), 0);
    }
    assert_int_equal(buf_printf(&r->events, "|%s;", m->is_keep_alive ? "keep" : "close"), 0);
}

static void tell_end(struct replay *r)
{
    assert_int_equal(buf_printf(&r->events, "[%.*s];", (int)buf_size(&r->body), buf_data(&r->body)), 0);
    buf_consume(&r->body, buf_size(&r->body));
    http1_restart(&r->parser);
}

/* Feeds bytes; 0 when the message is bad. */
static int feed(struct replay *r, enum http1_side side, const char *bytes, size_t n)
{
    char *exact = malloc(n ? n : 1); /* nothing may be kept, or read beyond */
    size_t at = 0;
    int is_good = 1;
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    while (at < n && is_good) {
        size_t used_n;
        enum http1_step step = http1_feed(&r->parser, exact + at, n - at, &used_n);
        at += used_n;
        switch (step) {
        case HTTP1_MORE:
            assert_int_equal(at, n);
            break;
        case HTTP1_HEAD:
            tell_head(r, side);
            if (http1_is_complete(&r->parser))
                tell_end(r);
            break;
        case HTTP1_END:
            tell_end(r);
            break;
        case HTTP1_BAD:
            assert_int_equal(buf_printf(&r->events, "!%d", r->parser.refusal.status), 0);
            assert_non_null(r->parser.refusal.why);
            is_good = 0;
            break;
        }
    }
    free(exact);
    return is_good;
}

static void finish(struct replay *r)
{
    enum http1_step step = http1_finish(&r->parser);
    if (step == HTTP1_END)
        tell_end(r);
    else if (step == HTTP1_BAD)
        assert_int_equal(buf_text(&r->events, "!eof"), 0);
}

/* Cut into pieces of `every` bytes, the first one of `first`. */
static void replay_cut(enum http1_side side, const char *bytes, size_t n, size_t first, size_t every, const char *expected)
{
    struct replay r;
    size_t at = 0, piece_n = first;
    int is_good = 1;
    buf_init(&r.events, 0);
    buf_init(&r.body, 0);
    message_init(&r.message, 4096);
    assert_int_equal(http1_init(&r.parser, side, &r.message, on_body, &r), 0);
    while (is_good && at < n) {
        piece_n = piece_n > n - at ? n - at : piece_n;
        is_good = feed(&r, side, bytes + at, piece_n);
        at += piece_n;
        piece_n = every;
    }
    if (is_good)
        finish(&r);
    assert_int_equal(buf_append(&r.events, "", 1), 0);
    if (strcmp(buf_data(&r.events), expected) != 0)
        fail_msg("cut at %zu, every %zu:\n%.*s\ngave     %s\nexpected %s", first, every, (int)n, bytes, buf_data(&r.events),
                 expected);
    http1_fini(&r.parser);
    message_fini(&r.message);
    buf_fini(&r.events);
    buf_fini(&r.body);
}

static void replay(enum http1_side side, const char *bytes, size_t n, const char *expected)
{
    replay_cut(side, bytes, n, n, n, expected);
    replay_cut(side, bytes, n, 1, 1, expected);
    for (size_t cut = 1; cut < n; cut++)
        replay_cut(side, bytes, n, cut, n, expected);
}

struct fixture {
    const char *bytes, *expected;
};

#define H "Host: h\r\n"

static void test_requests(void **state)
{
    (void)state;
    static const struct fixture rows[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", "GET / 1.1|Host=h|keep;[];"},
        {"GET /a?b=c&d HTTP/1.1\r\n" H "X:  y \t\r\nEmpty:\r\n\r\n", "GET /a?b=c&d 1.1|Host=h|X=y|Empty=|keep;[];"},
        {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET / 1.1|Host=h|keep;[];"},
        {"GET / HTTP/1.0\r\n\r\n", "GET / 1.0|close;[];"},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0|Connection=Keep-Alive|keep;[];"},
        {"GET / HTTP/1.1\r\n" H "Connection: x, Close\r\n\r\n", "GET / 1.1|Host=h|Connection=x, Close|close;[];"},
        {"GET http://a:1/b?c HTTP/1.1\r\n" H "\r\n", "GET /b?c 1.1|Host=h|keep;[];"},
        {"GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
         "GET / 1.1|Host=h|Connection=Upgrade|Upgrade=websocket|keep;[];"},
        {"BREW / HTTP/1.1\r\n" H "\r\n", "!501"},
        {"get / HTTP/1.1\r\n" H "\r\n", "!501"},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / 1.1|Host=|keep;[];"},
        {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / 1.1|Host=[::1]:80|keep;[];"},
        {"GET / HTTP/1.1\r\nHost: a_b.c:65535\r\n\r\n", "GET / 1.1|Host=a_b.c:65535|keep;[];"},
        {"POST /x HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", "POST /x 1.1|Host=h|Content-Length=5|keep;[hello];"},
        {"POST /x HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "POST /x 1.1|Host=h|Content-Length=0|keep;[];"},
        {"POST /x HTTP/1.1\r\n" H "Content-Length: 5\r\nConnection: close\r\n\r\nhello",
         "POST /x 1.1|Host=h|Content-Length=5|Connection=close|close;[hello];"},
        {"POST /x HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\n\r\n",
         "POST /x 1.1|Host=h|Transfer-Encoding=Chunked|keep;[abc0123456789];"},
        {"POST /x HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nTrailer: t\r\nContent-Type: u\r\n\r\n",
         "POST /x 1.1|Host=h|Transfer-Encoding=chunked|keep;[a];"},
        {"POST /1 HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\naPOST /2 HTTP/1.1\r\n" H
         "Transfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\nGET /3 HTTP/1.1\r\n" H "\r\n",
         "POST /1 1.1|Host=h|Content-Length=1|keep;[a];POST /2 1.1|Host=h|Transfer-Encoding=chunked|keep;[b];"
         "GET /3 1.1|Host=h|keep;[];"},
        {"GET / HTTP/1.1\r\nHo", "!eof"},
        {"PING\r\n", "!400"}, /* no more need come */
        {"GET /\r\n", "!400"},
        {"GET / HTTP/2.0\r\n", "!505"},
        {"GET /#a HTTP/1.1\r\n", "!400"},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhel", "POST / 1.1|Host=h|Content-Length=5|keep;!eof"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        replay(HTTP1_REQUEST, rows[i].bytes, strlen(rows[i].bytes), rows[i].expected);
}

/* Whole requests that must be refused at their head: two programs could read them in two ways. */
static void test_refused_heads(void **state)
{
    (void)state;
    static const struct {
        const char *head;
        int status;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.0\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a%62\r\n\r\n", 400},
        {"GET http:///b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/1,1\r\n" H "\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content_Length: 5\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "TRANSFER_ENCODING: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nExpect: tea\r\n\r\n", 417},
        {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H ": x\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n Host: h\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: h\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\x80\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X\x80: a\r\n\r\n", 400},
        {"GET /\x80 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /a#b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET  / HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /  HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1 \r\n" H "\r\n", 400},
        {"GET /\r\n\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"GET / HTTP/1.2\r\n" H "\r\n", 505},
        {"GET / HTTP/2.0\r\n" H "\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"GET / http/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/01.1\r\n" H "\r\n", 400},
        {"CONNECT a:1 HTTP/1.1\r\n" H "\r\n", 405},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", 400},
        {"GET ftp://a/b HTTP/1.1\r\n" H "\r\n", 400},
        {"GET http://a HTTP/1.1\r\n" H "\r\n", 400},
        {"GET http://u@a/ HTTP/1.1\r\n" H "\r\n", 400},
        {"GET a HTTP/1.1\r\n" H "\r\n", 400},
        {"\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400},
        {"\n\nGET / HTTP/1.1\r\n" H "\r\n", 400},
        {"\rGET / HTTP/1.1\r\n" H "\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Expect: tea\r\n\r\n", 417},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 0x10\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 5_0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 1 0\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 999999999999999999999999999999\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;q=1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\tchunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\t\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[16];
        snprintf(expected, sizeof expected, "!%d", rows[i].status);
        replay(HTTP1_REQUEST, rows[i].head, strlen(rows[i].head), expected);
    }
    static const char nul[] = "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n";
    replay(HTTP1_REQUEST, nul, sizeof nul - 1, "!400");
}

static void test_refused_chunks(void **state)
{
    (void)state;
    static const char head[] = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n";
    static const char *const rows[] = {
        "0_2e\r\n", "0x5\r\n", "\r\n", " 5\r\n", "5 \r\n", "+5\r\n", "-5\r\n", "g\r\n", "00000000000000005\r\n", "ffffffffffffffff\r\n",
        ";x\r\n", "5\n", "5\rh", "5;a\nb", "5\r\nhellox", "5\r\nhello\nx", "5\r\nhello\r5", "0\r\nX: a\nb", "0\r\n\nx", "0\r\n y\r\n",
        "0\r\nX: \x01\r\n\r\n", "5;\x01\r\n", "0\r\n: y\r\n", "0\r\nX : y\r\n", "0\r\nX\r\n", "0\r\nA: b\r\nX Y: z\r\n",
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct replay r;
        for (size_t every = 1; every < 40; every++) {
            buf_init(&r.events, 0);
            buf_init(&r.body, 0);
            message_init(&r.message, 4096);
            assert_int_equal(http1_init(&r.parser, HTTP1_REQUEST, &r.message, on_body, &r), 0);
            assert_true(feed(&r, HTTP1_REQUEST, head, sizeof head - 1));
            int is_good = 1;
            for (size_t at = 0; is_good && at < strlen(rows[i]); at += every) {
                size_t left_n = strlen(rows[i]) - at;
                is_good = feed(&r, HTTP1_REQUEST, rows[i] + at, left_n < every ? left_n : every);
            }
            if (is_good)
                fail_msg("%s was taken", rows[i]);
            assert_int_equal(r.parser.refusal.status, 400);
            http1_fini(&r.parser);
            message_fini(&r.message);
            buf_fini(&r.events);
            buf_fini(&r.body);
        }
    }
}

/* Heads, extensions and trailers without end cost no more than their limit. */
static void expect_refusal_of_filler(const char *front, const char *filler, int status)
{
    struct replay r;
    buf_init(&r.events, 0);
    buf_init(&r.body, 0);
    message_init(&r.message, 16384);
    assert_int_equal(http1_init(&r.parser, HTTP1_REQUEST, &r.message, on_body, &r), 0);
    int is_good = feed(&r, HTTP1_REQUEST, front, strlen(front));
    for (int i = 0; is_good && i < 100000; i++)
        is_good = feed(&r, HTTP1_REQUEST, filler, strlen(filler));
    assert_false(is_good);
    assert_int_equal(r.parser.refusal.status, status);
    http1_fini(&r.parser);
    message_fini(&r.message);
    buf_fini(&r.events);
    buf_fini(&r.body);
}

/* Heads are looked at eight bytes at a time: each byte, in each place of such a run, is judged as it is alone. */
static void test_each_byte_in_each_place(void **state)
{
    (void)state;
    for (int side = HTTP1_REQUEST; side <= HTTP1_ANSWER; side++) {
        for (int byte = 0; byte < 256; byte++) {
            int is_good = byte == '\t' || (byte >= 0x20 && byte < 0x7f) || (byte >= 0x80 && side == HTTP1_ANSWER);
            for (size_t place = 0; place < 19; place++) {
                char head[96];
                int front_n = snprintf(head, sizeof head, "%sX: -",
                                       side == HTTP1_REQUEST ? "GET / HTTP/1.1\r\nHost: a\r\n" : "HTTP/1.1 204 OK\r\n");
                memset(head + front_n, 'v', 20);
                head[(size_t)front_n + place] = (char)byte;
                memcpy(head + front_n + 20, "\r\n\r\n", 4);
                for (int is_cut = 0; is_cut < 2; is_cut++) {
                    struct replay r = {.body = {.bytes = NULL}};
                    message_init(&r.message, 0);
                    assert_int_equal(http1_init(&r.parser, (enum http1_side)side, &r.message, on_body, &r), 0);
                    int got = 1;
                    size_t head_n = (size_t)front_n + 24, step_n = is_cut ? 1 : head_n;
                    for (size_t at = 0; at < head_n && got; at += step_n)
                        got = feed(&r, (enum http1_side)side, head + at, step_n);
                    assert_int_equal(got, is_good);
                    buf_fini(&r.events);
                    http1_fini(&r.parser);
                    message_fini(&r.message);
                }
            }
        }
    }
}

static void test_nothing_is_endless(void **state)
{
    (void)state;
    expect_refusal_of_filler("GET /", "a", 414);
    expect_refusal_of_filler("GET / HTTP/1.1\r\nX: ", "a", 431);
    expect_refusal_of_filler("GET / HTTP/1.1\r\n" H, "X: 12345678901234567890123456789012345678901234567890\r\n", 431);
    expect_refusal_of_filler("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5;", "a", 400);
    expect_refusal_of_filler("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n", "a: b\r\n", 400);
    expect_refusal_of_filler("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", "0", 400);
}

/* A head that is both too long and bad is refused for the one that comes first, in one read or byte by byte. */
static void test_limits_are_met_however_it_is_cut(void **state)
{
    (void)state;
    static char bytes[20000];
    static const struct {
        size_t filler_n;
        const char *front, *behind, *expected;
    } rows[] = {
        {3000, "GET / HTTP/1.1\r\n" H "X: ", "\x01\r\n\r\n", "!400"},
        {5000, "GET / HTTP/1.1\r\n" H "X: ", "\x01\r\n\r\n", "!431"},
        {5000, "GET / HTTP/1.1\r\n" H "X: ", "\r\n\r\n", "!431"},
        {4096 - 31, "GET / HTTP/1.1\r\n" H "X: ", "\r\n\r\n", "!431"},
        {5000, "GET /", "\x01 HTTP/1.1\r\n\r\n", "!414"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int n = snprintf(bytes, sizeof bytes, "%s%*s", rows[i].front, (int)rows[i].filler_n, "");
        memset(bytes + strlen(rows[i].front), 'a', rows[i].filler_n);
        n += snprintf(bytes + n, sizeof bytes - (size_t)n, "%s", rows[i].behind);
        static const size_t pieces_n[] = {1, 2, 7, 100, 4095, 4096, 4097, sizeof bytes};
        for (size_t j = 0; j < sizeof pieces_n / sizeof *pieces_n; j++)
            replay_cut(HTTP1_REQUEST, bytes, (size_t)n, pieces_n[j], pieces_n[j], rows[i].expected);
    }
}

static void test_answers(void **state)
{
    (void)state;
    static const struct fixture rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 1.1|Content-Length=2|keep;[ok];"},
        {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 1.1|Content-Length=0|keep;[];"},
        {"HTTP/1.1 204 No Content\r\n\r\n", "204 1.1|keep;[];"},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 1.1|Content-Length=5|keep;[];"},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 1.1|keep;[until the end];"},
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", "200 1.0|close;[until the end];"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "200 1.1|Transfer-Encoding=chunked|keep;[ok];"},
        {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
         "200 1.1|Content-Length=1|keep;[a];"},
        {"HTTP/1.1 200 OK\r\nX: \xc3\xa9\r\nContent-Length: 0\r\n\r\n", "200 1.1|X=\xc3\xa9|Content-Length=0|keep;[];"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "200 1.1|Content-Length=5|keep;!eof"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "200 1.1|Transfer-Encoding=chunked|keep;!eof"},
        {"hello\r\n\r\n", "!400"},
        {"HTTP/2 200\r\n\r\n", "!400"},
        {"HTTP/1.1 99 Low\r\n\r\n", "!400"},
        {"HTTP/1.1 600 High\r\n\r\n", "!400"},
        {"HTTP/1.1 1000 High\r\n\r\n", "!400"},
        {"HTTP/1.1 200OK\r\n\r\n", "!400"},
        {"HTTP/1.1  200 OK\r\n\r\n", "!400"},
        {"\r\nHTTP/1.1 200 OK\r\n\r\n", "!400"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "!400"},
        {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "!400"},
        {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "!400"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "!400"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "!400"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        replay(HTTP1_ANSWER, rows[i].bytes, strlen(rows[i].bytes), rows[i].expected);
}

static void test_the_answer_to_a_head_has_no_body(void **state)
{
    (void)state;
    static const char bytes[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    for (size_t cut = 0; cut < sizeof bytes - 1; cut++) {
        struct replay r;
        buf_init(&r.events, 0);
        buf_init(&r.body, 0);
        message_init(&r.message, 4096);
        assert_int_equal(http1_init(&r.parser, HTTP1_ANSWER, &r.message, on_body, &r), 0);
        r.parser.is_bodiless = 1;
        assert_true(feed(&r, HTTP1_ANSWER, bytes, cut));
        assert_true(feed(&r, HTTP1_ANSWER, bytes + cut, sizeof bytes - 1 - cut));
        assert_int_equal(buf_append(&r.events, "", 1), 0);
        assert_string_equal(buf_data(&r.events), "200 1.1|Content-Length=5|keep;[];");
        http1_fini(&r.parser);
        message_fini(&r.message);
        buf_fini(&r.events);
        buf_fini(&r.body);
    }
}

static void test_whole_empty_lines_can_be_skipped_before_a_request(void **state)
{
    struct message message;
    struct http1 parser;
    size_t used_n;
    (void)state;
    message_init(&message, 1000);
    assert_int_equal(http1_init(&parser, HTTP1_REQUEST, &message, NULL, NULL), 0);
    assert_int_equal(http1_skip_empty_lines(&parser, "", 0), 0);
    assert_int_equal(http1_skip_empty_lines(&parser, "\r", 1), 0);
    assert_int_equal(http1_skip_empty_lines(&parser, "\r\n\r", 3), 2);
    assert_int_equal(http1_skip_empty_lines(&parser, "\r\n\r\n", 4), 2); /* two are enough */
    assert_int_equal(parser.is_touched, 0);
    assert_int_equal(http1_feed(&parser, "GET / HTTP/1.0\r\n\r\n", 18, &used_n), HTTP1_HEAD);
    http1_restart(&parser);
    assert_int_equal(http1_skip_empty_lines(&parser, "\r\nGET", 5), 2);
    assert_int_equal(http1_feed(&parser, "\rGET", 4, &used_n), HTTP1_BAD);
    http1_fini(&parser);
    message_fini(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_refused_heads),
        cmocka_unit_test(test_refused_chunks),
        cmocka_unit_test(test_each_byte_in_each_place),
        cmocka_unit_test(test_nothing_is_endless),
        cmocka_unit_test(test_limits_are_met_however_it_is_cut),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_the_answer_to_a_head_has_no_body),
        cmocka_unit_test(test_whole_empty_lines_can_be_skipped_before_a_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
