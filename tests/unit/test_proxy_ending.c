/* proxy/ending: what an answer ends with, however it comes in pieces. */
#include "proxy/ending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOKEN "{\"model\":\"m\",\"created_at\":\"t\",\"response\":\"x\",\"done\":false}\n"
#define EVENT "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":null}]}\n\n"
#define LAST_EVENT "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\n"

#define START_EVENT "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":" \
    "\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"cache_read_input_tokens\":3," \
    "\"input_tokens\":25,\"output_tokens\":1}}}\n\n"
#define DELTA_EVENT "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"{}\"}}\n\n"

struct row {
    enum ending_form form;
    const char *text;
    int is_done, has_error;
    int64_t asked_n, said_n;
    const char *reason;
};

static void read_in_pieces(enum ending_form form, const char *text, size_t n, size_t piece_n, struct ending_facts *f)
{
    struct ending *e = malloc(sizeof *e);
    assert_non_null(e);
    memset(e, 0x5a, sizeof *e);
    ending_begin(e, form);
    for (size_t at = 0; at < n; at += piece_n) {
        size_t this_n = piece_n < n - at ? piece_n : n - at;
        char *piece = malloc(this_n);
        assert_non_null(piece);
        memcpy(piece, text + at, this_n);
        ending_see(e, piece, this_n);
        free(piece);
    }
    ending_read(e, f);
    free(e);
}

static void check(const struct row *r, size_t piece_n)
{
    struct ending_facts f;
    read_in_pieces(r->form, r->text, strlen(r->text), piece_n, &f);
    if (f.is_done != r->is_done || f.has_error != r->has_error || f.prompt_tokens_n != r->asked_n || f.tokens_n != r->said_n ||
        strcmp(f.reason, r->reason) != 0)
        fail_msg("%.300s in pieces of %zu: done %d, error %d, counts %lld and %lld, reason \"%s\"", r->text, piece_n, f.is_done,
                 f.has_error, (long long)f.prompt_tokens_n, (long long)f.tokens_n, f.reason);
}

static const struct row rows[] = {
    /* lines */
    {ENDING_NDJSON, "", 0, 0, -1, -1, ""},
    {ENDING_NDJSON, TOKEN TOKEN, 0, 0, -1, -1, ""},
    {ENDING_NDJSON, TOKEN "{\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"context\":[1,2],\"total_duration\":9,"
                          "\"prompt_eval_count\":3,\"eval_count\":2}\n", 1, 0, 3, 2, "stop"},
    {ENDING_NDJSON, "{\"message\":{\"content\":\"\"},\"done_reason\":\"length\",\"done\":true,\"eval_count\":2}\r\n\n", 1, 0, -1, 2, "length"},
    {ENDING_NDJSON, "{\"done\":true,\"done_reason\":\"load\"}", 1, 0, -1, -1, "load"},
    {ENDING_NDJSON, "{ \"done\" : true , \"eval_count\" : 2 } \n", 1, 0, -1, 2, ""},
    {ENDING_NDJSON, TOKEN "{\"error\":\"boom\"}\n", 0, 1, -1, -1, ""},
    {ENDING_NDJSON, "{\"done\":true}\n" TOKEN, 0, 0, -1, -1, ""},            /* the last line counts */
    {ENDING_NDJSON, "{\"done\":true,\"eval_count\":2}\nbytes\n", 0, 0, -1, -1, ""},
    {ENDING_NDJSON, TOKEN "{\"done\":true,\"eval_count\":2", 0, 0, -1, -1, ""}, /* it is cut */
    {ENDING_NDJSON, "{\"response\":\"\\\"done\\\":true\",\"done\":null}\n", 0, 0, -1, -1, ""},
    {ENDING_NDJSON, "{\"message\":{\"tool_calls\":[{\"done\":true,\"eval_count\":7,\"error\":\"x\"}]},\"done\":0}\n", 0, 0, -1, -1, ""},
    {ENDING_NDJSON, "{\"error\":null,\"done\":true,\"eval_count\":1,\"eval_count\":2}\n", 1, 0, -1, 2, ""},
    {ENDING_NDJSON, "{\"done\":true,\"done_reason\":\"0123456789012345678901234567890\",\"eval_count\":1e3}\n", 1, 0, -1, -1, ""},
    /* events */
    {ENDING_SSE, EVENT EVENT, 0, 0, -1, -1, ""},
    {ENDING_SSE, EVENT LAST_EVENT, 1, 0, -1, -1, "stop"},
    {ENDING_SSE, EVENT "data: [DONE]\n\n", 1, 0, -1, -1, ""},
    {ENDING_SSE, EVENT LAST_EVENT "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,"
                       "\"prompt_tokens_details\":{\"prompt_tokens\":1}}}\n\ndata: [DONE]\n\n", 1, 0, 7, 5, "stop"},
    {ENDING_SSE, EVENT "data: {\"error\":{\"message\":\"boom\"}}\n\n", 0, 1, -1, -1, ""},
    {ENDING_SSE, "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n", 0, 1, -1, -1, ""},
    {ENDING_SSE, ": ping\n\ndata:[DONE]\r\n\r\n", 1, 0, -1, -1, ""},
    {ENDING_SSE, "data: {\"choices\":[{\"delta\":{\"content\":\"data: [DONE]\"},\"finish_reason\":null}],\"model\":\"m\"}\n\n", 0, 0, -1, -1, ""},
    {ENDING_SSE, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":"
                 "{\"input_tokens\":4,\"output_tokens\":5}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
     1, 0, 4, 5, "end_turn"},
    {ENDING_SSE, "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[],\"usage\":"
                 "{\"input_tokens\":4,\"output_tokens\":5}}}\n\n", 1, 0, 4, 5, ""},
    /* one object */
    {ENDING_MESSAGES, START_EVENT DELTA_EVENT "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
                      "\"usage\":{\"output_tokens\":5}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", 1, 0, 25, 5, "end_turn"},
    {ENDING_MESSAGES, "event: ping\ndata: {\"type\": \"ping\"}\n\n" START_EVENT "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"max_tokens\"},"
                      "\"usage\":{\"input_tokens\":4,\"output_tokens\":5}}\n\n", 1, 0, 4, 5, "max_tokens"},
    {ENDING_MESSAGES, START_EVENT DELTA_EVENT, 0, 0, 25, -1, ""},
    {ENDING_MESSAGES, START_EVENT "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"x\"}}\n\n", 0, 1, 25, -1, ""},
    {ENDING_MESSAGES, START_EVENT "data: {\"error\":\"x\"", 0, 0, 25, -1, ""},
    {ENDING_JSON, "{\"id\":\"1\",\n \"choices\":[{\"message\":{},\"finish_reason\":\"length\"}],\n \"usage\":{\"prompt_tokens\":7,"
                  "\"completion_tokens\":5}}\n", 1, 0, 7, 5, "length"},
    {ENDING_JSON, "{\"embeddings\":[[0.5]],\"total_duration\":1,\"prompt_eval_count\":3}", 1, 0, 3, -1, ""},
    {ENDING_JSON, "[]", 0, 0, -1, -1, ""},
    {ENDING_NONE, "{\"done\":true,\"eval_count\":2}\n", 0, 0, -1, -1, ""},
};

static void test_the_facts_do_not_depend_on_the_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece_n = 1; piece_n <= strlen(rows[i].text) + 1; piece_n++)
            check(&rows[i], piece_n);
}

/* What Ollama ends a generation with: the array may have any length, and stands in the middle. */
static void test_an_error_is_kept_whole_or_not_at_all(void **state)
{
    (void)state;
    char text[ENDING_TAIL_BYTES + 1], out[ENDING_TAIL_BYTES];
    static struct ending e;
    struct ending_facts f;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    ending_begin(&e, ENDING_ERROR);
    assert_int_equal(ending_whole(&e, out), 0);
    ending_see(&e, text, 10);
    ending_see(&e, text + 10, ENDING_TAIL_BYTES - 10);
    assert_int_equal(ending_whole(&e, out), ENDING_TAIL_BYTES);
    assert_memory_equal(out, text, ENDING_TAIL_BYTES);
    ending_see(&e, text + ENDING_TAIL_BYTES, 1);
    assert_int_equal(ending_whole(&e, out), 0);
    ending_begin(&e, ENDING_ERROR);
    ending_see(&e, "{\"error\":\"x\",\"done\":true}", 26);
    assert_int_equal(ending_whole(&e, out), 26);
    ending_read(&e, &f); /* it is no answer */
    assert_false(f.is_done || f.has_error);
}

static void test_a_last_line_of_3_mb(void **state)
{
    (void)state;
    enum { NUMBERS = 600000 };
    static const char head[] = TOKEN "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"done_reason\":\"stop\",\"context\":[1";
    static const char tail[] = "],\"total_duration\":9000000,\"load_duration\":8000000,\"prompt_eval_count\":3,"
                               "\"prompt_eval_duration\":2000000,\"eval_count\":2,\"eval_duration\":1000000}\n";
    size_t n = sizeof head - 1;
    char *text = malloc(sizeof head + 5 * NUMBERS + sizeof tail);
    assert_non_null(text);
    memcpy(text, head, n);
    for (int i = 0; i < NUMBERS; i++, n += 5)
        memcpy(text + n, ",1234", 5);
    memcpy(text + n, tail, sizeof tail - 1);
    n += sizeof tail - 1;
    static const size_t pieces[] = {1, 7, 4096, 65536, 1 << 22};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct ending_facts f;
        read_in_pieces(ENDING_NDJSON, text, n, pieces[i], &f);
        assert_int_equal(f.is_done, 1);
        assert_string_equal(f.reason, "stop");
        assert_int_equal(f.prompt_tokens_n, 3);
        assert_int_equal(f.tokens_n, 2);
        assert_int_equal(f.total_ns, 9000000);
        assert_int_equal(f.load_ns, 8000000);
        assert_int_equal(f.prompt_ns, 2000000);
        assert_int_equal(f.eval_ns, 1000000);
        read_in_pieces(ENDING_NDJSON, text, n - 40, pieces[i], &f); /* cut: it says `done`, and is not */
        assert_int_equal(f.is_done, 0);
    }
    free(text);
}

/* The last event of /v1/responses has the whole answer once more; its type stands before that, or, where names are sorted, behind it. */
static void test_a_response_of_any_length(void **state)
{
    (void)state;
    static const char *const frames[][2] = {
        {"event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":9,\"response\":{\"output\":[{\"text\":\"",
         "\"}],\"usage\":{\"input_tokens\":7,\"output_tokens\":5,\"total_tokens\":12},\"user\":null,\"metadata\":{}}}\n\n"},
        {"data: {\"response\":{\"output\":[{\"text\":\"",
         "\"}],\"usage\":{\"input_tokens\":7,\"output_tokens\":5}},\"sequence_number\":9,\"type\":\"response.incomplete\"}\n\n"},
    };
    for (size_t i = 0; i < 2; i++)
        for (size_t text_n = 0; text_n < 10000; text_n += 997) {
            struct ending_facts f;
            size_t a_n = strlen(frames[i][0]), b_n = strlen(frames[i][1]);
            char *text = malloc(a_n + text_n + b_n);
            assert_non_null(text);
            memcpy(text, frames[i][0], a_n);
            memset(text + a_n, 'x', text_n);
            memcpy(text + a_n + text_n, frames[i][1], b_n);
            for (size_t piece_n = 1; piece_n < 5000; piece_n = piece_n * 7 + 1) {
                read_in_pieces(ENDING_SSE, text, a_n + text_n + b_n, piece_n, &f);
                assert_int_equal(f.is_done, 1);
                assert_int_equal(f.prompt_tokens_n, 7);
                assert_int_equal(f.tokens_n, 5);
            }
            free(text);
        }
}

static void test_a_long_last_event(void **state)
{
    (void)state;
    static const char ends[][64] = {"\"},\"finish_reason\":\"stop\"}]}\n\n", "\"},\"finish_reason\":null}],\"x\":1}\n\n"};
    for (int i = 0; i < 2; i++) {
        char text[8192];
        int n = snprintf(text, sizeof text, "data: {\"choices\":[{\"delta\":{\"content\":\"%05000d%s", 0, ends[i]);
        struct ending_facts f;
        read_in_pieces(ENDING_SSE, text, (size_t)n, 100, &f);
        assert_int_equal(f.is_done, i == 0);
    }
}

static void test_a_new_answer_forgets_the_one_before(void **state)
{
    (void)state;
    static const char last[] = "{\"done\":true,\"eval_count\":2}\n";
    struct ending e;
    struct ending_facts f;
    ending_begin(&e, ENDING_NDJSON);
    ending_see(&e, last, sizeof last - 1);
    ending_read(&e, &f);
    assert_int_equal(f.is_done, 1);
    ending_begin(&e, ENDING_NDJSON);
    ending_read(&e, &f);
    assert_int_equal(f.is_done, 0);
    assert_int_equal(f.tokens_n, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_facts_do_not_depend_on_the_pieces),
        cmocka_unit_test(test_an_error_is_kept_whole_or_not_at_all),
        cmocka_unit_test(test_a_last_line_of_3_mb),
        cmocka_unit_test(test_a_response_of_any_length),
        cmocka_unit_test(test_a_long_last_event),
        cmocka_unit_test(test_a_new_answer_forgets_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
