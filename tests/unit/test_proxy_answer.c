/* The answer's way to its client: what is translated does not depend on the pieces it comes in, and errors are told once. */
#include "proxy/answer.h"

#include "tests/unit/scratch.h"

#include <errno.h>

static struct scene {
    struct iovec parts[DELIVER_PARTS];
    struct deliver_sink sink;
    struct deliver deliver;
    struct answer answer;
    struct message head;
    struct buf sent;
} s;

static void on_write(void *context, const struct iovec *parts, int parts_n)
{
    (void)context;
    for (int i = 0; i < parts_n; i++)
        assert_int_equal(buf_append(&s.sent, parts[i].iov_base, parts[i].iov_len), 0);
}

static size_t on_pending(void *context)
{
    (void)context;
    return 0;
}

static int on_keep(void *context)
{
    (void)context;
    return 1;
}

/* Quotes what it gets; one that is told to be bad is. What has a "c", or nothing, is the last. */
static int quote(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    t->has_ended = memmem(json, json_n, "\"c\"", 3) || json_n == 2;
    if (memmem(json, json_n, "bad", 3))
        return -EINVAL;
    return buf_printf(out, "<%.*s>\n\n", (int)json_n, json);
}

static int say_nothing(struct translation *t, struct buf *out)
{
    (void)t;
    return buf_text(out, "<>\n\n");
}

static const struct translate_ops ops = {.target = "/api/chat", .object = quote, .nothing = say_nothing};

static void begin(enum route_shape shape, int is_stream, int is_translated, int status, enum conf_heartbeat heartbeat)
{
    static const struct route routes[] = {
        [SHAPE_JSON] = {.shape = SHAPE_JSON, .dialect = DIALECT_OLLAMA},
        [SHAPE_LINES] = {.shape = SHAPE_LINES, .dialect = DIALECT_OLLAMA, .api = API_CHAT},
        [SHAPE_EVENTS] = {.shape = SHAPE_EVENTS, .dialect = DIALECT_OPENAI},
    };
    memset(&s, 0, sizeof s);
    s.sink = (struct deliver_sink){NULL, s.parts, on_write, on_pending, on_keep, NULL};
    buf_init(&s.sent, 0);
    deliver_init(&s.deliver, &s.sink, 1, 0);
    message_init(&s.head, 4096);
    s.head.status = status;
    s.head.length_bytes = -1;
    answer_init(&s.answer, &s.deliver);
    answer_expect(&s.answer, &routes[shape], is_stream, "m", heartbeat);
    s.answer.translation.ops = is_translated ? &ops : NULL;
    s.answer.translation.is_stream = is_stream;
}

static void end(void)
{
    answer_fini(&s.answer);
    deliver_fini(&s.deliver);
    message_fini(&s.head);
    buf_fini(&s.sent);
}

/* The body as it was sent, without its head and its framing. */
static const char *body(void)
{
    static char text[4096];
    size_t text_n = 0;
    const char *at = buf_data(&s.sent), *stop = at + buf_size(&s.sent);
    const char *blank = memmem(at, (size_t)(stop - at), "\r\n\r\n", 4);
    assert_non_null(blank);
    int is_chunked = memmem(at, (size_t)(blank - at), "chunked", 7) != NULL;
    for (at = blank + 4; at < stop;) {
        char *behind = NULL;
        size_t n = is_chunked ? strtoul(at, &behind, 16) : (size_t)(stop - at);
        at = is_chunked ? behind + 2 : at;
        if (n == 0)
            break;
        memcpy(text + text_n, at, n);
        text_n += n;
        at += n + (is_chunked ? 2 : 0);
    }
    text[text_n] = '\0';
    return text;
}

static int has_final_chunk(void)
{
    return buf_size(&s.sent) > 5 && memcmp(buf_data(&s.sent) + buf_size(&s.sent) - 5, "0\r\n\r\n", 5) == 0;
}

static void head_comes(void)
{
    struct forward_answer f = {.answer = &s.head, .request_id = "i"};
    answer_head(&s.answer, &f, 5);
}

static void comes(const char *text)
{
    answer_body(&s.answer, text, strlen(text));
    answer_flush(&s.answer, 7);
}

static void test_lines_are_translated_whatever_the_pieces(void **state)
{
    static const char lines[] = "{\"a\":1}\n{\"b\":2}\r\n \r\n\n{\"c\":3}";
    (void)state;
    for (size_t piece_n = 1; piece_n <= sizeof lines; piece_n++) {
        begin(SHAPE_EVENTS, 1, 1, 200, CONF_HEARTBEAT_COMMENT);
        head_comes();
        for (size_t at = 0; at < sizeof lines - 1; at += piece_n) {
            size_t n = sizeof lines - 1 - at < piece_n ? sizeof lines - 1 - at : piece_n;
            answer_body(&s.answer, lines + at, n);
            answer_flush(&s.answer, 7);
        }
        assert_int_equal(answer_end(&s.answer), 0);
        assert_string_equal(body(), "<{\"a\":1}>\n\n<{\"b\":2}\r>\n\n<{\"c\":3}>\n\n");
        assert_true(has_final_chunk());
        end();
    }
}

static void test_a_stream_ends_once(void **state)
{
    (void)state;
    begin(SHAPE_EVENTS, 1, 1, 200, CONF_HEARTBEAT_COMMENT);
    head_comes();
    comes("{\"a\":1}\n");
    assert_int_equal(answer_end(&s.answer), -ENODATA);
    end();
    begin(SHAPE_EVENTS, 1, 1, 200, CONF_HEARTBEAT_COMMENT);
    head_comes();
    comes("{\"c\":1}\n{\"a\":1}\n{\"error\":\"late\"}\n");
    assert_int_equal(answer_end(&s.answer), 0);
    assert_string_equal(body(), "<{\"c\":1}>\n\n");
    end();
}

static void test_one_object_has_a_length_unless_something_was_promised(void **state)
{
    (void)state;
    for (int is_promised = 0; is_promised < 2; is_promised++) {
        begin(SHAPE_EVENTS, 0, 1, 200, CONF_HEARTBEAT_COMMENT);
        if (is_promised)
            answer_beat(&s.answer);
        head_comes();
        comes("{\"a\":");
        comes("1}\n");
        assert_int_equal(answer_end(&s.answer), 0);
        assert_string_equal(body(), is_promised ? " <{\"a\":1}\n>\n\n" : "<{\"a\":1}\n>\n\n");
        assert_int_equal(memmem(buf_data(&s.sent), buf_size(&s.sent), "Content-Length: 12", 18) != NULL, !is_promised);
        end();
    }
}

/* Of a backend that speaks OpenAI's API, for a client of Ollama's. */
static int quote_last(struct translation *t, struct buf *out)
{
    t->has_ended = 1;
    return buf_text(out, "<end>\n");
}

static int quote_event(struct translation *t, const char *json, size_t json_n, struct buf *out)
{
    int is_done = json_n == 6 && memcmp(json, "[DONE]", 6) == 0;
    return is_done ? quote_last(t, out) : buf_printf(out, "<%.*s@%d>\n", (int)json_n, json, (int)t->now_ms);
}

static const struct translate_ops openai_ops = {.target = "/v1/chat/completions", .object = quote_event, .is_openai = 1};
static const struct translate_ops openai_ops_that_end = {.target = "/v1/chat/completions", .object = quote_event, .end = quote_last, .is_openai = 1};

static void begin_openai(const struct translate_ops *of, int is_stream, enum forward_stream kind)
{
    static const struct route route = {.shape = SHAPE_LINES, .dialect = DIALECT_OLLAMA, .api = API_CHAT};
    struct forward_answer f = {.answer = &s.head, .request_id = "i", .stream = kind};
    begin(SHAPE_LINES, is_stream, 0, 200, CONF_HEARTBEAT_COMMENT);
    s.answer.translation.ops = of;
    answer_expect(&s.answer, &route, -1, "m", CONF_HEARTBEAT_COMMENT);
    assert_int_equal(s.answer.form, is_stream ? FORM_NDJSON : FORM_JSON);
    answer_head(&s.answer, &f, 5);
    s.answer.translation.now_ms = 6;
}

static void test_events_become_lines_whatever_the_pieces_proxy_scenario_29(void **state)
{
    static const char events[] = "data: {\"a\":1}\r\n\r\n: ping\n\ndata: {\ndata: \"b\":2}\n\ndata: [DONE]\n\ndata: {\"late\":1}\n\n";
    (void)state;
    for (size_t piece_n = 1; piece_n <= sizeof events; piece_n++) {
        begin_openai(&openai_ops, 1, STREAM_SSE);
        for (size_t at = 0; at < sizeof events - 1; at += piece_n) {
            size_t n = sizeof events - 1 - at < piece_n ? sizeof events - 1 - at : piece_n;
            answer_body(&s.answer, events + at, n);
            answer_flush(&s.answer, 7);
        }
        assert_int_equal(answer_end(&s.answer), 0);
        assert_string_equal(body(), "<{\"a\":1}@6>\n<{\n\"b\":2}@6>\n<end>\n");
        assert_true(has_final_chunk());
        assert_non_null(memmem(buf_data(&s.sent), buf_size(&s.sent), "application/x-ndjson", 20));
        end();
    }
}

static void test_events_that_do_not_end_proxy_scenario_27(void **state)
{
    (void)state;
    begin_openai(&openai_ops, 1, STREAM_SSE);
    comes("data: {\"a\":1}\n\n");
    assert_int_equal(answer_end(&s.answer), -ENODATA);
    end();
    begin_openai(&openai_ops_that_end, 1, STREAM_SSE); /* its reason was told */
    comes("data: {\"a\":1}\n\ndata: {\"b\":1}");
    assert_int_equal(answer_end(&s.answer), 0);
    assert_string_equal(body(), "<{\"a\":1}@6>\n<{\"b\":1}@6>\n<end>\n");
    end();
}

static void test_errors_among_events_proxy_scenario_28(void **state)
{
    static const struct {
        const char *event, *error;
    } cases[] = {
        {"data: {\"error\":{\"message\":\"lost\",\"code\":500}}\n\n", "lost"},
        {"data: {\"error\":\"lost\"}\n\n", "lost"},
        {"event: error\ndata: {\"object\":\"error\",\"message\":\"lost\",\"code\":400}\n\n", "lost"},
        {"error: {\"code\":500,\"message\":\"lost\"}\n\n", "lost"},
        {"data: {\"object\":\"x\",\"error\":null}\n\nerror: lost\n\n", "the backend answered with status 500: lost"},
    };
    char text[ANSWER_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin_openai(&openai_ops, 1, STREAM_SSE);
        comes("data: {\"a\":1}\n\n");
        comes(cases[i].event);
        comes("data: {\"b\":1}\n\ndata: [DONE]\n\n");
        assert_true(s.answer.has_error);
        assert_int_equal(answer_end(&s.answer), -EREMOTEIO);
        answer_error(&s.answer, text);
        assert_string_equal(text, cases[i].error);
        end();
    }
}

static void test_what_is_not_as_it_was_asked_for(void **state)
{
    (void)state;
    begin_openai(&openai_ops_that_end, 1, STREAM_NONE); /* one object, over several lines */
    comes("{\n\"a\"");
    comes(":1}\n");
    assert_int_equal(answer_end(&s.answer), 0);
    assert_string_equal(body(), "<{\n\"a\":1}\n@6>\n<end>\n");
    end();
    begin_openai(&openai_ops, 0, STREAM_SSE);
    comes("data: {\"a\":1}\n\n");
    assert_string_equal(s.answer.fault, "a stream, where one object was asked for");
    end();
}

static void test_an_error_that_comes_first_keeps_its_status(void **state)
{
    static const struct {
        int status, told;
        const char *text, *error;
    } cases[] = {
        {404, 404, "{\"error\":\"no model\"}", "no model"},
        {500, 500, "{\"error\":{\"message\":\"out \\u00e9\",\"type\":\"x\"}}", "out \xc3\xa9"},
        {502, 502, "", "the backend answered with status 502"},
        {500, 500, "{\"error\":\"\\u0000\"}", "the backend answered with status 500: {\"error\":\"\\u0000\"}"},
        {500, 500, "oops", "the backend answered with status 500: oops"},
        {200, 500, "{\"error\":\"lost\"}\n{\"a\":1}\n", "lost"},
    };
    char text[ANSWER_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(SHAPE_EVENTS, 1, 1, cases[i].status, CONF_HEARTBEAT_COMMENT);
        head_comes();
        comes(cases[i].text);
        assert_int_equal(answer_end(&s.answer), -EREMOTEIO);
        answer_error(&s.answer, text);
        assert_string_equal(text, cases[i].error);
        assert_int_equal(s.answer.status, cases[i].told);
        assert_false(s.deliver.is_begun);
        end();
    }
}

static void test_an_error_among_tokens_ends_the_stream(void **state)
{
    char text[ANSWER_TEXT_BYTES];
    (void)state;
    begin(SHAPE_EVENTS, 1, 1, 200, CONF_HEARTBEAT_COMMENT);
    head_comes();
    comes("{\"a\":\"\\\"error\\\"\"}\n{\"err");
    comes("or\":\"lost\"}\n{\"b\":2}\n");
    assert_int_equal(answer_end(&s.answer), -EREMOTEIO);
    answer_error(&s.answer, text);
    answer_break(&s.answer, 500, NULL, text);
    assert_string_equal(body(), "<{\"a\":\"\\\"error\\\"\"}>\n\ndata: {\"error\":{\"message\":\"lost\",\"type\":\"api_error\",\"param\":null,\"code\":null}}\n\n");
    assert_false(has_final_chunk());
    end();
}

static void test_what_is_no_object_is_a_fault(void **state)
{
    (void)state;
    begin(SHAPE_EVENTS, 1, 1, 200, CONF_HEARTBEAT_COMMENT);
    head_comes();
    comes("bad\n");
    assert_int_equal(answer_end(&s.answer), -EBADMSG);
    assert_non_null(s.answer.fault);
    end();
}

static void test_a_promise_turns_any_error_into_a_part_of_the_answer(void **state)
{
    static const struct {
        enum route_shape shape;
        int is_stream;
        const char *wanted;
    } cases[] = {
        {SHAPE_LINES, 1, " {\"error\":\"no\"}\n"},
        {SHAPE_LINES, -1, " {\"error\":\"no\"}\n"},
        {SHAPE_LINES, 0, " {\"error\":\"no\"}\n"},
        {SHAPE_JSON, 0, " {\"error\":\"no\"}\n"},
        {SHAPE_EVENTS, 1, ": ping\ndata: {\"error\":{\"message\":\"no\",\"type\":\"not_found_error\",\"param\":null,\"code\":null}}\n\n"},
        {SHAPE_EVENTS, -1, " {\"error\":{\"message\":\"no\",\"type\":\"not_found_error\",\"param\":null,\"code\":null}}\n"},
    };
    char text[ANSWER_TEXT_BYTES];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin(cases[i].shape, cases[i].is_stream, 0, 404, CONF_HEARTBEAT_COMMENT);
        answer_beat(&s.answer);
        head_comes();
        comes("{\"error\":\"no\"}");
        assert_int_equal(answer_end(&s.answer), -EREMOTEIO);
        answer_error(&s.answer, text);
        answer_break(&s.answer, s.answer.status, NULL, text);
        assert_string_equal(body(), cases[i].wanted);
        assert_false(has_final_chunk());
        end();
    }
}

static void test_heartbeats_stand_where_a_line_ends(void **state)
{
    (void)state;
    begin(SHAPE_LINES, 1, 0, 200, CONF_HEARTBEAT_COMMENT);
    answer_beat(&s.answer);
    answer_beat(&s.answer);
    head_comes();
    comes("{\"a\":1}\n{\"b\"");
    answer_beat(&s.answer);
    comes(":2}\n");
    answer_beat(&s.answer);
    answer_beat(&s.answer);
    comes("{}\n");
    assert_int_equal(answer_end(&s.answer), 0);
    assert_string_equal(body(), "  {\"a\":1}\n{\"b\":2}\n  {}\n");
    end();
}

static void test_tokens_that_say_nothing(void **state)
{
    (void)state;
    begin(SHAPE_EVENTS, 1, 1, 200, CONF_HEARTBEAT_CHUNK);
    answer_beat(&s.answer);
    head_comes();
    comes("{\"a\":1}\n{");
    answer_beat(&s.answer); /* what is not whole has not gone */
    comes("}\n");
    assert_int_equal(answer_end(&s.answer), 0);
    assert_string_equal(body(), "<>\n\n<{\"a\":1}>\n\n<>\n\n<{}>\n\n");
    end();
    begin(SHAPE_LINES, 1, 0, 200, CONF_HEARTBEAT_CHUNK);
    answer_beat(&s.answer);
    assert_non_null(strstr(body(), "{\"model\":\"m\",\"created_at\":\""));
    assert_non_null(strstr(body(), "Z\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":false}\n"));
    end();
    begin(SHAPE_LINES, 1, 0, 200, CONF_HEARTBEAT_OFF);
    answer_beat(&s.answer);
    assert_int_equal(buf_size(&s.sent), 0);
    end();
}

static void test_comments_say_what_is_done(void **state)
{
    static const char *const comments[] = {NULL, "", "mapped 3 of 8 parts"};
    static const char *const beats[] = {": ping\n", ": ping\n", ": mapped 3 of 8 parts\n"};
    (void)state;
    for (size_t i = 0; i < sizeof beats / sizeof *beats; i++) {
        begin(SHAPE_EVENTS, 1, 1, 200, CONF_HEARTBEAT_COMMENT);
        s.answer.form = FORM_SSE;
        s.answer.comment = comments[i];
        answer_beat(&s.answer);
        assert_string_equal(body(), beats[i]);
        end();
    }
}

static void note_head(void *context, const struct deliver *d)
{
    int *heads_n = context;
    ++*heads_n;
    assert_int_equal(d->status, 200);
    assert_true(!d->type || strstr(d->type, "json") || strstr(d->type, "event-stream"));
}

/* Whoever is no HTTP client gets the head as what it says, and the bare bytes. */
static void test_bare_bytes_for_who_takes_heads(void **state)
{
    (void)state;
    for (int is_stream = 0; is_stream < 2; is_stream++) {
        int heads_n = 0;
        begin(SHAPE_EVENTS, is_stream, 1, 200, CONF_HEARTBEAT_OFF);
        s.sink.context = &heads_n;
        s.sink.head = note_head;
        head_comes();
        comes("{\"a\":1}\n");
        comes("{\"c\":1}\n");
        assert_int_equal(answer_end(&s.answer), 0);
        assert_int_equal(heads_n, 1);
        assert_false(s.deliver.is_kept);
        assert_int_equal(buf_append(&s.sent, "", 1), 0);
        assert_string_equal(buf_data(&s.sent), is_stream ? "<{\"a\":1}>\n\n<{\"c\":1}>\n\n" : "<{\"a\":1}\n{\"c\":1}\n>\n\n");
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_translated_whatever_the_pieces),
        cmocka_unit_test(test_a_stream_ends_once),
        cmocka_unit_test(test_events_become_lines_whatever_the_pieces_proxy_scenario_29),
        cmocka_unit_test(test_events_that_do_not_end_proxy_scenario_27),
        cmocka_unit_test(test_errors_among_events_proxy_scenario_28),
        cmocka_unit_test(test_what_is_not_as_it_was_asked_for),
        cmocka_unit_test(test_one_object_has_a_length_unless_something_was_promised),
        cmocka_unit_test(test_an_error_that_comes_first_keeps_its_status),
        cmocka_unit_test(test_an_error_among_tokens_ends_the_stream),
        cmocka_unit_test(test_what_is_no_object_is_a_fault),
        cmocka_unit_test(test_a_promise_turns_any_error_into_a_part_of_the_answer),
        cmocka_unit_test(test_heartbeats_stand_where_a_line_ends),
        cmocka_unit_test(test_tokens_that_say_nothing),
        cmocka_unit_test(test_comments_say_what_is_done),
        cmocka_unit_test(test_bare_bytes_for_who_takes_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
