/* proxy/plan, proxy/history: which strategy a prompt gets, and what its body becomes (R4.2, R4.3). */
#include "proxy/plan.h"

#include "proxy/history.h"
#include "proxy/prompt.h"
#include "proxy/translation.h"
#include "tests/unit/conf_each.h"

#include <errno.h>

#define ON "[optimizer]\nenabled = yes\n"

static struct token_estimates estimates;
static struct plan plan;
static struct buf body, out;
static char why[PLAN_WHY_BYTES];

static int begin(void **state)
{
    memset(&estimates, 0, sizeof estimates);
    buf_init(&body, 0);
    buf_init(&out, 0);
    return conf_case_setup(state);
}

static int finish(void **state)
{
    buf_fini(&body);
    buf_fini(&out);
    return conf_case_teardown(state);
}

static void load(const char *ini)
{
    conf_case_load(&k, ini, NULL);
    assert_int_equal(k.error, 0);
}

static struct plan_rules rules(void)
{
    return (struct plan_rules){.conf = k.conf, .estimates = &estimates, .asked_model = "auto"};
}

static void open_body(const char *before)
{
    buf_truncate(&body, 0);
    assert_int_equal(buf_printf(&body, "{\"model\":\"auto\",%s\"messages\":[", before), 0);
}

/* content_n characters: the first letter of the role, and dots. */
static void say(const char *role, size_t content_n)
{
    const char *data = buf_data(&body);
    int is_first = data[buf_size(&body) - 1] == '[';
    assert_int_equal(buf_printf(&body, "%s{\"role\":\"%s\",\"content\":\"", is_first ? "" : ", ", role), 0);
    for (size_t i = 0; i < content_n; i++)
        assert_int_equal(buf_append(&body, i ? "." : role, 1), 0);
    assert_int_equal(buf_text(&body, "\"}"), 0);
}

static void close_body(const char *behind)
{
    assert_int_equal(buf_printf(&body, "]%s}", behind), 0);
}

static int make(const char *forced)
{
    struct plan_rules r = rules();
    return plan_make(&plan, &r, buf_data(&body), buf_size(&body), forced, why);
}

static int write_with(const struct plan_rules *r, const struct plan_parts *summaries)
{
    buf_truncate(&out, 0);
    int error = plan_write(&plan, r, buf_data(&body), buf_size(&body), summaries, &out, why);
    assert_int_equal(buf_append(&out, "", 1), 0);
    return error;
}

static int write_plain(void)
{
    struct plan_rules r = rules();
    return write_with(&r, NULL);
}

static void assert_says(const char *text)
{
    if (!strstr(buf_data(&out), text))
        fail_msg("no %s in %.2000s", text, buf_data(&out));
}

static void assert_silent(const char *text)
{
    if (strstr(buf_data(&out), text))
        fail_msg("%s in %.2000s", text, buf_data(&out));
}

/* A prompt of tokens_n by the first estimate: one message. */
static void prompt_of(size_t tokens_n)
{
    open_body("");
    say("user", (tokens_n - TOKENS_A_MESSAGE) * 4);
    close_body("");
}

static void test_r4_2_tokens_choose_the_strategy(void **state)
{
    (void)state;
    static const struct {
        size_t tokens_n;
        const char *name, *model;
        int step;
    } rows[] = {{20, "A", "qwen3:4b", PLAN_DIRECT},     {1999, "A", "qwen3:4b", PLAN_DIRECT},  {2000, "B", "qwen3:0.6b", PLAN_DIRECT},
                {6000, "B", "qwen3:0.6b", PLAN_DIRECT}, {6001, "C", "qwen3:4b", PLAN_MAP}, {90000, "C", "qwen3:4b", PLAN_MAP}};
    load(ON);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        prompt_of(rows[i].tokens_n);
        assert_int_equal(make(NULL), 0);
        assert_string_equal(plan.strategy->name, rows[i].name);
        assert_string_equal(plan.model, rows[i].model);
        assert_int_equal(plan.step, rows[i].step);
        assert_int_equal(plan.received.tokens_n, rows[i].tokens_n);
        assert_int_equal(plan.num_ctx, 8192);
    }
}

static void test_what_was_learnt_of_models_moves_the_borders(void **state)
{
    (void)state;
    load(ON);
    for (size_t i = 0; i < 30; i++)
        token_learn(&estimates, "qwen3:4b", 10000 + 100 * i, 1, 5000 + 50 * i, 0); /* two characters a token */
    prompt_of(1500);
    assert_int_equal(make(NULL), 0);
    assert_string_equal(plan.strategy->name, "B");
    assert_true(plan.received.tokens_n > 2800 && plan.received.tokens_n < 3100);
    struct plan_rules r = rules();
    r.asked_model = "asked";
    for (size_t i = 0; i < 30; i++)
        token_learn(&estimates, "asked", 24000 + 100 * i, 1, 4000 + 17 * i, 0); /* six */
    assert_int_equal(plan_make(&plan, &r, buf_data(&body), buf_size(&body), NULL, why), 0);
    assert_string_equal(plan.strategy->name, "A");
}

static void test_a_strategy_can_be_asked_for_by_name(void **state)
{
    (void)state;
    load(ON);
    prompt_of(100);
    assert_int_equal(make("C"), 0);
    assert_string_equal(plan.strategy->name, "C");
    assert_int_equal(plan.step, PLAN_MAP);
    assert_int_equal(make("D"), -EINVAL);
    assert_string_equal(why, "X-Sidecar-Strategy: there is no strategy \"D\"; it may be A, B, C, off, or left out");
}

static void test_a_gap_between_strategies_has_none(void **state)
{
    (void)state;
    load(ON "[strategy:long]\nmin_tokens = 1000\nmodel = m\n");
    prompt_of(999);
    assert_int_equal(make(NULL), 0);
    assert_null(plan.strategy);
    prompt_of(1000);
    assert_int_equal(make(NULL), 0);
    assert_string_equal(plan.strategy->name, "long");
    assert_int_equal(plan.num_ctx, 0);
}

static void test_a_body_that_is_none_has_no_plan(void **state)
{
    (void)state;
    load(ON);
    assert_int_equal(buf_text(&body, "{\"model\":\"auto\"}"), 0);
    assert_int_equal(make(NULL), 0);
    assert_null(plan.strategy);
}

static void test_the_model_and_the_options_are_the_strategys_and_all_else_stays(void **state)
{
    (void)state;
    load(ON "[strategy:S]\nmodel = m:1b\noptions = num_ctx=4096, temperature=0.2, top_k=7, seed=1\n");
    open_body("\"stream\":true,\"options\":{\"temperature\":1.0,\"top_k\":3,\"num_ctx\":99,\"n\":12345678901234567890},\"x\": [ 1 ],");
    say("user", 10);
    close_body(",\"tools\":[{\"a\": 1}]");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0);
    assert_string_equal(buf_data(&out), "{\"model\":\"m:1b\",\"stream\":true,\"options\":{\"temperature\":1.0,\"top_k\":3,\"num_ctx\":4096,\"n\":12345678901234567890,"
                                        "\"seed\":1},\"x\": [ 1 ],\"messages\":[{\"role\":\"user\",\"content\":\"u.........\"}],\"tools\":[{\"a\": 1}]}");
    struct plan_rules r = rules();
    r.unsaid = TRANSLATE_UNSAID_TEMPERATURE;
    assert_int_equal(write_with(&r, NULL), 0);
    assert_says("\"temperature\":0.2,");
}

static void test_more_options_than_one_edit_takes(void **state)
{
    (void)state;
    load(ON "[strategy:S]\nmodel = m\noptions = num_ctx=4096, temperature=0.2, top_k=7, top_p=0.5, seed=1, num_predict=100, min_p=0.1, typical_p=0.5, "
            "repeat_last_n=3, repeat_penalty=1.1, presence_penalty=0.1, frequency_penalty=0.1, num_keep=4, num_batch=64, num_gpu=0, main_gpu=0, "
            "use_mmap=true, num_thread=3\n");
    open_body("\"options\":{},");
    say("user", 10);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0);
    assert_says("\"num_ctx\":4096,\"temperature\":0.2,");
    assert_says("\"main_gpu\":0,\"use_mmap\":true,\"num_thread\":3}");
    assert_says("{\"model\":\"m\",");
}

static void test_the_pin_says_what_num_ctx_is(void **state)
{
    (void)state;
    load(ON "[pin:qwen3:4b]\nnum_ctx = 2048\n");
    prompt_of(100);
    assert_int_equal(make(NULL), 0);
    assert_int_equal(plan.num_ctx, 2048);
}

#define SMALL ON "[strategy:S]\nmodel = m\noptions = num_ctx=1000\n"

static void test_history_is_shortened_by_whole_turns_from_the_oldest(void **state)
{
    (void)state;
    load(SMALL); /* 750 tokens for the prompt */
    open_body("");
    say("system", 400);
    say("assistant", 400);
    say("user", 400);
    say("assistant", 400);
    say("tool", 400);
    say("user", 401);
    say("assistant", 402);
    say("user", 403);
    say("assistant", 404);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0);
    assert_int_equal(plan.turns_dropped_n, 2);
    assert_says("\"messages\":[{\"role\":\"system\",");
    assert_says("},{\"role\":\"user\",\"content\":\"[4 earlier messages were left out to fit the context]\"},{\"role\":\"user\"");
    assert_silent("\"role\":\"tool\"");
    assert_true(plan.sent.tokens_n <= 750 && plan.sent.tokens_n > 500);
    assert_int_equal(plan.sent.messages_n, 6);
    assert_int_equal(plan.saved_tokens_n, plan.received.tokens_n - plan.sent.tokens_n);
    struct prompt p;
    assert_int_equal(prompt_read(&p, buf_data(&out), buf_size(&out) - 1), 0);
    assert_int_equal(prompt_chars(&p), plan.sent.chars_n);
    assert_int_equal(p.messages_n, plan.sent.messages_n);
    prompt_fini(&p);
}

static void test_no_more_turns_than_needed_and_none_where_it_fits(void **state)
{
    (void)state;
    load(SMALL);
    open_body("");
    for (int i = 0; i < 8; i++)
        say(i % 2 ? "assistant" : "user", 368); /* 100 tokens each */
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(plan.received.tokens_n, 800);
    assert_int_equal(write_plain(), 0);
    assert_int_equal(plan.turns_dropped_n, 1);
    assert_says("[2 earlier messages were left out to fit the context]");
    open_body("");
    for (int i = 0; i < 7; i++)
        say(i % 2 ? "user" : "assistant", 368);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0);
    assert_int_equal(plan.turns_dropped_n, 0);
    assert_int_equal(plan.saved_tokens_n, 0);
}

static void test_an_answer_that_is_to_be_long_needs_room(void **state)
{
    (void)state;
    load(SMALL);
    open_body("\"options\":{\"num_predict\":450},");
    for (int i = 0; i < 7; i++)
        say(i % 2 ? "user" : "assistant", 368);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0);
    assert_true(plan.sent.tokens_n <= 550);
    open_body("\"options\":{\"num_predict\":100000},");
    for (int i = 0; i < 7; i++)
        say(i % 2 ? "user" : "assistant", 368);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0); /* half of num_ctx is the prompt's, whatever is asked for */
    assert_true(plan.sent.tokens_n <= 500 && plan.sent.tokens_n > 350);
}

static void test_what_may_not_be_left_out_is_refused_beyond_num_ctx(void **state)
{
    (void)state;
    load(SMALL);
    open_body("");
    say("system", 400);
    say("user", 400);
    say("user", 4000);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), -E2BIG);
    assert_string_equal(why, "the prompt is too long: tool definitions, the system's prompt and the last message of the user alone have about 1137 tokens, and "
                             "num_ctx of strategy S is 1000; send less of them, or raise num_ctx in [strategy:S] options");
    open_body("");
    say("user", 3000);
    close_body(""); /* beyond what is meant for prompts, but it fits */
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0);
    open_body("");
    say("assistant", 3000);
    say("system", 3000);
    close_body(""); /* no user: nothing is a turn */
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), -E2BIG);
}

static void test_without_num_ctx_nothing_is_left_out(void **state)
{
    (void)state;
    load(ON "[strategy:S]\nmodel = m\n");
    open_body("");
    for (int i = 0; i < 50; i++)
        say("user", 2000);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0);
    assert_int_equal(plan.turns_dropped_n, 0);
    assert_int_equal(buf_size(&out) - 1, buf_size(&body) - strlen("auto") + strlen("m"));
}

static void test_r4_2_summaries_stand_for_what_was_mapped(void **state)
{
    (void)state;
    struct json_text items[] = {{"first \"one\"", 11}, {"second\n\xc3\xa9", 9}, {"could not be read", 17}};
    struct plan_parts parts = {items, 3};
    struct plan_rules r;
    load(ON);
    open_body("");
    say("system", 30);
    say("user", 20000);
    say("assistant", 9000);
    say("user", 50);
    say("assistant", 51);
    say("tool", 52);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(plan.step, PLAN_MAP);
    r = rules();
    assert_true(plan_summaries_room(&plan, &r, buf_data(&body), buf_size(&body), 3) > 6900);
    assert_int_equal(write_with(&r, &parts), 0);
    assert_says("},{\"role\":\"user\",\"content\":\"[The conversation before this was long. Here are summaries of its 3 parts, in their order.]"
                "\\n\\n[part 1 of 3]\\nfirst \\\"one\\\"\\n\\n[part 2 of 3]\\nsecond\\n\xc3\xa9\\n\\n[part 3 of 3]\\ncould not be read\"},{\"role\":\"user\"");
    assert_int_equal(plan.sent.messages_n, 5);
    assert_true(plan.saved_tokens_n > 7000);
    struct prompt p;
    assert_int_equal(prompt_read(&p, buf_data(&out), buf_size(&out) - 1), 0);
    assert_int_equal(prompt_chars(&p), plan.sent.chars_n);
    assert_int_equal(p.messages[3].chars_n, 51);
    prompt_fini(&p);
}

static void test_summaries_that_are_too_long_are_cut_fairly(void **state)
{
    (void)state;
    char *text = malloc(30000);
    assert_non_null(text);
    for (size_t i = 0; i < 30000; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    struct json_text items[] = {{"short", 5}, {text, 30000}, {text, 20000}};
    struct plan_parts parts = {items, 3};
    load(SMALL);
    open_body("");
    say("system", 30);
    say("user", 20000);
    say("user", 50);
    close_body("");
    assert_int_equal(make(NULL), 0);
    struct plan_rules r = rules();
    assert_int_equal(write_with(&r, &parts), 0);
    assert_says("[part 1 of 3]\\nshort\\n");
    assert_says("\xc3\xa9 […]\\n\\n[part 3 of 3]");
    assert_true(plan.sent.tokens_n > 700 && plan.sent.tokens_n <= 760);
    free(text);
}

static void test_nothing_to_map_and_no_room_for_summaries(void **state)
{
    (void)state;
    struct json_text items[] = {{"said", 4}};
    struct plan_parts parts = {items, 1};
    load(SMALL);
    open_body("");
    say("system", 30);
    say("user", 3900);
    close_body("");
    assert_int_equal(make(NULL), 0);
    struct plan_rules r = rules();
    assert_int_equal(plan_summaries_room(&plan, &r, buf_data(&body), buf_size(&body), 1), 0);
    open_body("");
    say("user", 39);
    close_body("");
    assert_int_equal(write_with(&r, &parts), 0);
    assert_says("\"messages\":[{\"role\":\"user\",\"content\":\"[The conv");
    assert_says("[part 1 of 1]\\nsaid\"},{\"role\":\"user\",\"content\":\"u....");
}

static void test_r4_2_what_is_written_twice_is_written_alike(void **state)
{
    (void)state;
    load(SMALL);
    open_body("");
    for (int i = 0; i < 9; i++)
        say("user", 600);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0);
    char *first = strdup(buf_data(&out));
    struct plan before = plan;
    assert_int_equal(write_plain(), 0);
    assert_string_equal(first, buf_data(&out));
    assert_int_equal(plan.saved_tokens_n, before.saved_tokens_n);
    assert_int_equal(plan.turns_dropped_n, before.turns_dropped_n);
    free(first);
}

int main(void)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, begin, finish)
    const struct CMUnitTest tests[] = {
        EACH(test_r4_2_tokens_choose_the_strategy),
        EACH(test_what_was_learnt_of_models_moves_the_borders),
        EACH(test_a_strategy_can_be_asked_for_by_name),
        EACH(test_a_gap_between_strategies_has_none),
        EACH(test_a_body_that_is_none_has_no_plan),
        EACH(test_the_model_and_the_options_are_the_strategys_and_all_else_stays),
        EACH(test_more_options_than_one_edit_takes),
        EACH(test_the_pin_says_what_num_ctx_is),
        EACH(test_history_is_shortened_by_whole_turns_from_the_oldest),
        EACH(test_no_more_turns_than_needed_and_none_where_it_fits),
        EACH(test_an_answer_that_is_to_be_long_needs_room),
        EACH(test_what_may_not_be_left_out_is_refused_beyond_num_ctx),
        EACH(test_without_num_ctx_nothing_is_left_out),
        EACH(test_r4_2_summaries_stand_for_what_was_mapped),
        EACH(test_summaries_that_are_too_long_are_cut_fairly),
        EACH(test_nothing_to_map_and_no_room_for_summaries),
        EACH(test_r4_2_what_is_written_twice_is_written_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
