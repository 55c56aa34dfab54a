/* preload/hub: what a hub's heads say, whose origin a URL has, what a refusal means, when it is asked again, and when not. */
#include "preload/hub/hub.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct fetch_head head;

static void line(const char *text)
{
    fetch_head_line(&head, text, strlen(text));
}

static void test_lines_of_a_head(void **state)
{
    (void)state;
    memset(&head, 0, sizeof head);
    line("HTTP/1.1 206 Partial Content\r\n");
    line("content-LENGTH: 95\r\n");
    line("Content-Range: bytes 5-99/100\r\n");
    line("Content-Encoding: identity\r\n");
    line("Retry-After:  7 \r\n");
    line("X-Error-Code: GatedRepo\r\n");
    line("X-Error-Message: ask first: it is ours\r\n");
    line("X-Linked-Etag: W/\"abc\"\r\n");
    line("Link: <https://hub/a,b?x=1>; rel=\"prev\", <https://hub/next?cursor=2>; rel=\"next\"\r\n");
    assert_int_equal(head.length, 95);
    assert_int_equal(head.range_first, 5);
    assert_int_equal(head.range_total, 100);
    assert_int_equal(head.retry_after_s, 7);
    assert_false(head.is_encoded);
    assert_string_equal(head.error_code, "GatedRepo");
    assert_string_equal(head.error_message, "ask first: it is ours");
    assert_string_equal(head.linked_etag, "abc");
    assert_string_equal(head.next, "https://hub/next?cursor=2");
}

static void test_the_next_answer_forgets_all_but_the_linked_etag(void **state)
{
    (void)state;
    memset(&head, 0, sizeof head);
    line("HTTP/1.1 302 Found\r\n");
    line("X-Linked-Etag: \"first\"\r\n");
    line("Content-Length: 3\r\n");
    line("Content-Encoding: gzip\r\n");
    line("HTTP/1.1 200 OK\r\n");
    line("X-Linked-Etag: \"of a CDN\"\r\n");
    assert_string_equal(head.linked_etag, "first");
    assert_int_equal(head.length, -1);
    assert_false(head.is_encoded);
}

static void test_lines_that_say_nothing(void **state)
{
    static const char *const lines[] = {"Content-Length: many\r\n", "Content-Length: 99999999999999999999\r\n", "Content-Range: bytes */100\r\n", "Content-Range: items 5-9/10\r\n",
                                        "Content-Range: bytes 5\r\n", "Retry-After: soon\r\n", "RateLimit: \"api\";r=3;t=55\r\n", "RateLimit: ;r=0;;t\r\n", "Link: <https://hub/x\r\n", "Link: <x>; rel=\"last\"\r\n", "Link: <x>; rel=\"last\"; title=\"next\"\r\n",
                                        "no colon\r\n", ": \r\n", "\r\n", ""};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        memset(&head, 0, sizeof head);
        line("HTTP/1.1 200 OK\r\n");
        line(lines[i]);
        fetch_head_end(&head, 1000);
        assert_int_equal(head.length, -1);
        assert_int_equal(head.range_first, -1);
        assert_int_equal(head.retry_after_s, -1);
        assert_string_equal(head.next, "");
    }
}

static void test_when_to_come_again(void **state)
{
    static const struct {
        const char *lines[3];
        int64_t after_s;
    } cases[] = {
        {{"Retry-After: 120\r\n"}, 120},
        {{"Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n", "Date: Wed, 21 Oct 2026 07:27:00 GMT\r\n"}, 60}, /* by its own clock */
        {{"Retry-After: Thu, 01 Jan 1970 00:20:00 GMT\r\n"}, 200},                                            /* … or ours */
        {{"Retry-After: Thu, 01 Jan 1970 00:00:10 GMT\r\n"}, -1},
        {{"RateLimit: \"api\";r=0;t=55\r\n"}, 56},
        {{"RateLimit: \"api\";r=4;t=900, \"resolvers\" ; r=0 ; t=30\r\n"}, 31},
        {{"RateLimit: \"api\";r=0;t=55\r\n", "Retry-After: 20\r\n"}, 56},
        {{"Retry-After: 999999999999999999\r\n"}, FETCH_RETRY_AFTER_MAX_S},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(&head, 0, sizeof head);
        line("HTTP/1.1 429 Too Many Requests\r\n");
        for (size_t k = 0; cases[i].lines[k]; k++)
            line(cases[i].lines[k]);
        fetch_head_end(&head, 1000);
        assert_int_equal(head.retry_after_s, cases[i].after_s);
    }
}

static void test_where_a_list_goes_on(void **state)
{
    static const char *const cases[][2] = {
        {"Link: <https://hub/next>; rel=next\r\n", "https://hub/next"},
        {"Link: <?cursor=x>; foo=bar, </api?cursor=2>; rel=\"last next\"\r\n", "https://hub/api?cursor=2"},
        {"Link: <https://other/x>; rel=\"next\"\r\n", "https://other/x"},
        {"Link: <?cursor=2>; rel=\"next\"\r\n", "https://hub/api/tree?cursor=2"},
    };
    char url[FETCH_URL_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memset(&head, 0, sizeof head);
        line(cases[i][0]);
        assert_int_equal(fetch_resolve(url, "https://hub/api/tree?a=1", head.next), 0);
        assert_string_equal(url, cases[i][1]);
    }
    assert_int_equal(fetch_resolve(url, "https://hub/", "https://[bad"), -EINVAL);
    assert_string_equal(url, "");
}

static void test_origins(void **state)
{
    (void)state;
    assert_true(fetch_is_same_origin("https://hub.co/a/b", "https://HUB.co:443"));
    assert_true(fetch_is_same_origin("http://127.0.0.1:80/x", "http://127.0.0.1"));
    assert_false(fetch_is_same_origin("http://hub.co/", "https://hub.co/"));
    assert_false(fetch_is_same_origin("https://hub.co:444/", "https://hub.co/"));
    assert_false(fetch_is_same_origin("https://hub.co.evil/", "https://hub.co/"));
    assert_false(fetch_is_same_origin("https://hub.co@evil/", "https://hub.co/"));
    assert_false(fetch_is_same_origin("https://cdn.hub.co/", "https://hub.co/"));
    assert_false(fetch_is_same_origin("nonsense:", "https://hub.co/"));
}

static void test_what_refusals_mean(void **state)
{
    static const struct {
        long status;
        const char *error, *token;
        enum trouble_code code;
        int is_final;
    } cases[] = {
        {200, "", "", TROUBLE_NONE, 1},          {206, "", "", TROUBLE_NONE, 1},
        {401, "", "", TROUBLE_NOT_FOUND, 1},     {401, "RepoNotFound", "t", TROUBLE_NOT_FOUND, 1}, {401, "GatedRepo", "", TROUBLE_GATED, 1},
        {403, "GatedRepo", "t", TROUBLE_GATED, 1}, {401, "", "t", TROUBLE_UNAUTHORIZED, 1},        {403, "", "t", TROUBLE_FORBIDDEN, 1},
        {404, "RevisionNotFound", "", TROUBLE_NOT_FOUND, 1}, {404, "EntryNotFound", "", TROUBLE_NOT_FOUND, 1}, {404, "", "", TROUBLE_NOT_FOUND, 1},
        {429, "", "", TROUBLE_RATE_LIMITED, 0},  {500, "", "", TROUBLE_NETWORK, 0},                {503, "", "", TROUBLE_NETWORK, 0},
        {403, "DisabledRepo", "", TROUBLE_FORBIDDEN, 1}, {403, "RepoNotFound", "t", TROUBLE_NOT_FOUND, 1}, {451, "", "", TROUBLE_FORBIDDEN, 1},
        {408, "", "", TROUBLE_NETWORK, 0},       {418, "", "", TROUBLE_NETWORK, 1},                {304, "", "", TROUBLE_NETWORK, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct settings settings = {.endpoint = "https://hub"};
        struct why why;
        memset(&head, 0, sizeof head);
        head.status = cases[i].status;
        strcpy(head.error_code, cases[i].error);
        strcpy(settings.token, cases[i].token);
        why_of(&why, &head, NULL, "the model a/b", &settings);
        assert_int_equal(why.trouble.code, cases[i].code);
        assert_int_equal(why.is_final, cases[i].is_final);
        if (cases[i].code != TROUBLE_NONE)
            assert_non_null(strstr(why.trouble.text, "the model a/b"));
    }
}

static void test_the_hub_is_not_blamed_for_where_it_leads_to(void **state)
{
    static const long statuses[] = {400, 401, 403, 404, 410};
    struct settings settings = {.endpoint = "https://hub"};
    struct why why;
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        memset(&head, 0, sizeof head);
        head.status = statuses[i];
        head.is_elsewhere = 1;
        why_of(&why, &head, NULL, "the file x", &settings);
        assert_int_equal(why.trouble.code, TROUBLE_NETWORK);
        assert_false(why.is_final);
    }
}

static void test_pauses_grow_or_are_the_hubs(void **state)
{
    struct settings settings = {.endpoint = "https://hub"};
    struct retry retry = {0};
    struct why why;
    (void)state;
    memset(&head, 0, sizeof head);
    head.status = 503;
    why_of(&why, &head, NULL, "x", &settings);
    int64_t first_ms = why_pause_ms(&why, &retry, 3, 0, 0), second_ms = why_pause_ms(&why, &retry, 3, 0, 0);
    assert_true(first_ms > 0 && second_ms > first_ms);
    assert_true(why_pause_ms(&why, &retry, 3, 0, 0) > 0);
    assert_int_equal(why_pause_ms(&why, &retry, 3, 0, 0), -1);
    retry = (struct retry){0};
    head.retry_after_s = 100;
    why_of(&why, &head, NULL, "x", &settings);
    assert_int_equal(why_pause_ms(&why, &retry, 3, 0, 0), 100 * 1000);
    head.retry_after_s = WHY_PAUSE_MAX_S + 1;
    why_of(&why, &head, NULL, "x", &settings);
    assert_int_equal(why_pause_ms(&why, &retry, 3, 0, 0), -1);
    assert_int_equal(why.trouble.retry_after_s, WHY_PAUSE_MAX_S + 1);
}

static void test_who_asked_is_told_before_heartbeats_begin(void **state)
{
    static const struct {
        int64_t since_ms, asked_s, took_ms;
        int has_bytes, is_tried;
    } cases[] = {
        {0, 0, 10, 0, 1},          {0, 10, 10, 0, 1},          {0, 30, 10, 0, 0},     {HUB_SOON_MS - 500, 0, 10, 0, 0},
        {10000, 0, 10000, 0, 0},   {0, 30, 10, 1, 1},          {10000, 0, 10000, 1, 1}, {HUB_SOON_MS + 1, 30, 10, 0, 1}, /* it is late anyway */
        {0, WHY_PAUSE_MAX_S + 1, 10, 1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct hub h = {.settings = {.endpoint = "https://hub", .retries = 3}, .begun_ms = 1000, .now_ms = 1000 + cases[i].since_ms, .has_bytes = cases[i].has_bytes};
        struct retry retry = {0};
        struct why why;
        memset(&head, 0, sizeof head);
        head.status = 429;
        head.retry_after_s = cases[i].asked_s;
        why_of(&why, &head, NULL, "x", &h.settings);
        assert_int_equal(hub_pause_ms(&h, &why, &retry, 0, cases[i].took_ms) >= 0, cases[i].is_tried);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_a_head),     cmocka_unit_test(test_the_next_answer_forgets_all_but_the_linked_etag),
        cmocka_unit_test(test_lines_that_say_nothing), cmocka_unit_test(test_when_to_come_again),
        cmocka_unit_test(test_where_a_list_goes_on), cmocka_unit_test(test_origins),
        cmocka_unit_test(test_what_refusals_mean), cmocka_unit_test(test_the_hub_is_not_blamed_for_where_it_leads_to),
         cmocka_unit_test(test_pauses_grow_or_are_the_hubs),
        cmocka_unit_test(test_who_asked_is_told_before_heartbeats_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
