/* proxy/plan_write, plan_draft, history: what the body becomes that the answering model gets (R4.2, R4.3). */
#include "tests/unit/plan_case.h"

#define SMALL ON "[strategy:S]\nmodel = m\noptions = num_ctx=1000\n"

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
    assert_string_equal(why, "the prompt is too long: tool definitions, the system's prompt, the last message of the user and what is behind it have about 1137 "
                             "tokens alone, and num_ctx of strategy S is 1000; send less of them, or raise num_ctx in [strategy:S] options");
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

static void test_r4_3_a_long_system_prompt_is_cut_and_ours_about_tools_is_not(void **state)
{
    (void)state;
    load(ON "system_budget = 300\n[strategy:S]\nmodel = m\n");
    open_body("");
    say("system", 400);
    say("system", 100);
    say("system", 500);
    say("user", 600);
    say("system", 700);
    close_body("");
    assert_int_equal(make(NULL), 0);
    struct plan_rules r = rules();
    r.words_n = 1;
    assert_int_equal(write_with(&r, NULL), 0);
    struct prompt p;
    assert_int_equal(prompt_read(&p, buf_data(&out), buf_size(&out) - 1), 0);
    assert_int_equal(p.messages_n, 4);
    assert_true(p.messages[0].chars_n <= 300 && p.messages[0].chars_n > 280);
    assert_int_equal(p.messages[1].chars_n, 500);
    assert_int_equal(p.messages[3].chars_n, 700);
    assert_int_equal(prompt_chars(&p), plan.sent.chars_n);
    assert_int_equal(plan.sent.messages_n, 4);
    assert_true(plan.is_truncated);
    assert_true(plan.saved_tokens_n > 40);
    prompt_fini(&p);
    assert_int_equal(write_plain(), 0);
    assert_int_equal(prompt_read(&p, buf_data(&out), buf_size(&out) - 1), 0);
    assert_int_equal(p.messages_n, 3);
    prompt_fini(&p);
}

static void test_r4_3_a_system_prompt_within_its_budget_stays_byte_by_byte(void **state)
{
    (void)state;
    load(ON "system_budget = 302\n[strategy:S]\nmodel = m\n");
    open_body("");
    say("system", 200);
    say("system", 100);
    say("user", 6000);
    close_body("");
    assert_int_equal(make(NULL), 0);
    assert_int_equal(write_plain(), 0);
    assert_false(plan.is_truncated);
    assert_int_equal(buf_size(&out) - 1, buf_size(&body) - strlen("auto") + strlen("m") - strlen(" ")); /* between the messages */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAN_CASE(test_the_model_and_the_options_are_the_strategys_and_all_else_stays),
        PLAN_CASE(test_more_options_than_one_edit_takes),
        PLAN_CASE(test_history_is_shortened_by_whole_turns_from_the_oldest),
        PLAN_CASE(test_no_more_turns_than_needed_and_none_where_it_fits),
        PLAN_CASE(test_an_answer_that_is_to_be_long_needs_room),
        PLAN_CASE(test_what_may_not_be_left_out_is_refused_beyond_num_ctx),
        PLAN_CASE(test_without_num_ctx_nothing_is_left_out),
        PLAN_CASE(test_r4_2_summaries_stand_for_what_was_mapped),
        PLAN_CASE(test_summaries_that_are_too_long_are_cut_fairly),
        PLAN_CASE(test_nothing_to_map_and_no_room_for_summaries),
        PLAN_CASE(test_r4_2_what_is_written_twice_is_written_alike),
        PLAN_CASE(test_r4_3_a_long_system_prompt_is_cut_and_ours_about_tools_is_not),
        PLAN_CASE(test_r4_3_a_system_prompt_within_its_budget_stays_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
