/* proxy/map: what is mapped of a conversation, what is asked of each part, and what is read of the answers. */
#include "proxy/map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct map map;
static struct conf_strategy strategy;
static struct buf asked;

static void read_body(const char *json, size_t part_chars)
{
    assert_int_equal(map_read(&map, json, strlen(json), part_chars), 0);
}

static int begin(void **state)
{
    (void)state;
    static char small[] = "small", large[] = "large", num_ctx[] = "num_ctx=8192", num_predict[] = "num_predict = 9000", temperature[] = "temperature=0.5";
    static char *options[] = {num_ctx, num_predict, temperature};
    strategy = (struct conf_strategy){.map_model = small, .reduce_model = large};
    strategy.options.items = options;
    strategy.options.items_n = 3;
    buf_init(&asked, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    map_fini(&map);
    buf_fini(&asked);
    return 0;
}

/* The body that asks for a part, as text. */
static const char *ask(size_t part)
{
    buf_truncate(&asked, 0);
    assert_int_equal(map_ask(&map, part, &strategy, &asked), 0);
    assert_int_equal(buf_append(&asked, "", 1), 0);
    return buf_data(&asked);
}

static int answer(size_t part, const char *content)
{
    char json[512];
    snprintf(json, sizeof json, "{\"model\":\"small\",\"message\":{\"role\":\"assistant\",\"content\":\"%s\"},\"done\":true}", content);
    return map_answered(&map, part, json, strlen(json));
}

static void assert_text(const char *expected)
{
    assert_int_equal(buf_size(&map.text), strlen(expected));
    assert_memory_equal(buf_data(&map.text), expected, strlen(expected));
}

static void test_what_is_between_the_system_prompt_and_the_last_user_message(void **state)
{
    (void)state;
    read_body("{\"messages\":["
              "{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"system\",\"content\":\"S2\"},"
              "{\"role\":\"user\",\"content\":\"one\\n\\u00e4\"},"
              "{\"role\":\"assistant\",\"content\":\"two\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]},"
              "{\"role\":\"assistant\",\"tool_calls\":[1]},"
              "{\"role\":\"tool\",\"content\":\"three\"},"
              "{\"role\":\"system\",\"content\":\"four\"},"
              "{\"role\":\"critic\",\"content\":\"five\"},null,"
              "{\"role\":\"user\",\"content\":\"last\"},"
              "{\"role\":\"assistant\",\"content\":\"behind\"}]}",
              1000);
    assert_text("[user]\none\n\xc3\xa4\n\n"
                "[assistant]\ntwo\n[{\"function\":{\"name\":\"f\"}}]\n\n"
                "[assistant]\n[1]\n\n"
                "[tool]\nthree\n\n"
                "[system]\nfour\n\n"
                "[message]\nfive\n\n"
                "[message]\n\n\n");
    assert_int_equal(map.parts_n, 1);
}

static void test_nothing_to_map(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"messages\":[]}",
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"U\"}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"U\"},{\"role\":\"assistant\",\"content\":\"A\"}]}",
        "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"assistant\",\"content\":\"A\"}]}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        read_body(bodies[i], 100);
        assert_int_equal(map.parts_n, 0);
        assert_true(map_is_over(&map));
        map_fini(&map);
    }
}

static void test_what_can_t_be_read(void **state)
{
    (void)state;
    const char *json = "{\"messages\":[{\"role\":\"user\",\"content\":\"\\q\"},{\"role\":\"user\",\"content\":\"U\"}]}";
    assert_int_equal(map_read(&map, "[]", 2, 100), -EINVAL);
    map_fini(&map);
    assert_int_equal(map_read(&map, json, strlen(json), 100), -EINVAL);
}

static char *long_body(size_t chars_n)
{
    static const char head[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"", tail[] = "\"},{\"role\":\"user\",\"content\":\"U\"}]}";
    char *json = malloc(sizeof head + chars_n + sizeof tail);
    memcpy(json, head, sizeof head - 1);
    memset(json + sizeof head - 1, 'x', chars_n);
    memcpy(json + sizeof head - 1 + chars_n, tail, sizeof tail);
    return json;
}

static void test_too_many_parts(void **state)
{
    (void)state;
    char *fits = long_body(100 * PLAN_PARTS_MAX - 9), *does_not = long_body(100 * PLAN_PARTS_MAX - 8), *far_from = long_body(4000 * PLAN_PARTS_MAX);
    read_body(fits, 100);
    assert_int_equal(map.parts_n, PLAN_PARTS_MAX);
    map_fini(&map);
    assert_int_equal(map_read(&map, does_not, strlen(does_not), 100), -E2BIG);
    map_fini(&map);
    assert_int_equal(map_read(&map, far_from, strlen(far_from), 100), -E2BIG);
    free(fits);
    free(does_not);
    free(far_from);
}

static void test_what_is_asked(void **state)
{
    (void)state;
    read_body("{\"messages\":[{\"role\":\"user\",\"content\":\"a \\\"b\\\" c\"},{\"role\":\"user\",\"content\":\"U\"}]}", 100);
    map_share_room(&map, 300, UINT64_MAX);
    const char *body = ask(0);
    assert_non_null(strstr(body, "{\"model\":\"small\",\"stream\":false,\"think\":false,\"messages\":[{\"role\":\"system\",\"content\":\"You "));
    assert_non_null(strstr(body, "{\"role\":\"user\",\"content\":\"[user]\\na \\\"b\\\" c\\n\\n\"}]"));
    assert_non_null(strstr(body, ",\"options\":{\"num_predict\":300,\"num_ctx\":8192,\"temperature\":0.5}}"));
    assert_null(strstr(body, "keep_alive"));
    assert_int_equal(map.running_n, 1);
    assert_int_equal(map_next(&map), map.parts_n);
    map_unask(&map, 0);
    assert_int_equal(map.running_n, 0);
    assert_int_equal(map_next(&map), 0);
}

static void test_a_part_inside_of_a_message_says_whose_it_is(void **state)
{
    (void)state;
    char *json = long_body(150);
    read_body(json, 100);
    assert_int_equal(map.parts_n, 2);
    assert_non_null(strstr(ask(1), "\"content\":\"[user, continued]\\nxxxx"));
    free(json);
}

static void test_room_is_shared(void **state)
{
    (void)state;
    char *json = long_body(900);
    read_body(json, 100);
    assert_int_equal(map.parts_n, 10);
    const struct {
        uint64_t room, left, each;
    } cases[] = {{UINT64_MAX, UINT64_MAX, MAP_PREDICT_MOST}, {5000, UINT64_MAX, 500}, {1, UINT64_MAX, MAP_PREDICT_LEAST}, {700, 2000, 70},
                 {UINT64_MAX, 400, 400}, {5000, 0, MAP_PREDICT_LEAST}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        map_share_room(&map, cases[i].room, cases[i].left);
        assert_int_equal(map.summary_tokens, cases[i].each);
    }
    map_share_room(&map, 0, UINT64_MAX);
    assert_int_equal(map_next(&map), 0);
    assert_true(map_is_over(&map));
    free(json);
}

static void test_summaries_stand_in_the_order_of_the_parts(void **state)
{
    (void)state;
    char *json = long_body(250);
    read_body(json, 100);
    assert_int_equal(map.parts_n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(map_next(&map), i);
        ask(i);
    }
    assert_int_equal(answer(2, "third"), 1);
    assert_int_equal(answer(0, "f\\u00efrst"), 1);
    assert_false(map_failed(&map, 1));
    assert_int_equal(map_next(&map), 1);
    ask(1);
    assert_true(map_failed(&map, 1));
    assert_int_equal(map_next(&map), 3);
    assert_true(map_is_over(&map));
    assert_int_equal(map.done_n, 2);
    assert_int_equal(map.lost_n, 1);
    const struct plan_parts *parts = map_summaries(&map);
    assert_int_equal(parts->items_n, 3);
    assert_memory_equal(parts->items[0].at, "f\xc3\xafrst", parts->items[0].n);
    assert_memory_equal(parts->items[2].at, "third", parts->items[2].n);
    assert_int_equal(parts->items[1].n, strlen("[part 2 of 3 could not be read]"));
    assert_memory_equal(parts->items[1].at, "[part 2 of 3 could not be read]", parts->items[1].n);
    free(json);
}

static void test_what_was_not_asked_for_yet_may_be_given_up(void **state)
{
    (void)state;
    char *json = long_body(250);
    read_body(json, 100);
    ask(0);
    map_give_up(&map);
    assert_int_equal(map_next(&map), map.parts_n);
    assert_int_equal(map.lost_n, 2);
    assert_false(map_is_over(&map));
    assert_int_equal(answer(0, "first"), 1);
    assert_true(map_is_over(&map));
    free(json);
}

static void test_what_is_a_summary(void **state)
{
    (void)state;
    static const struct {
        const char *content, *summary; /* NULL: it is none */
    } cases[] = {
        {"plain", "plain"},
        {" \\n\\t two words \\r\\n", "two words"},
        {"<think>\\nhm\\n</think>\\n\\nsaid", "said"},
        {"hm</think> said", "said"},
        {"said <think> is a tag", "said <think> is a tag"},
        {"<think>never ends", NULL},
        {"<think></think>  ", NULL},
        {" \\n ", NULL},
        {"", NULL},
        {"\\q", NULL},
    };
    char *json = long_body(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_body(json, 100);
        ask(0);
        assert_int_equal(answer(0, cases[i].content), cases[i].summary != NULL);
        if (cases[i].summary) {
            const struct plan_parts *parts = map_summaries(&map);
            assert_int_equal(parts->items[0].n, strlen(cases[i].summary));
            assert_memory_equal(parts->items[0].at, cases[i].summary, parts->items[0].n);
        } else {
            assert_int_equal(map_next(&map), 0);
        }
        map_fini(&map);
    }
    free(json);
}

static void test_what_is_no_answer(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "",
        "null",
        "{\"error\":\"x\"}",
        "{\"message\":{\"content\":\"x\"}}",
        "{\"message\":{\"content\":\"x\"},\"done\":false}",
        "{\"message\":{\"content\":7},\"done\":true}",
        "{\"message\":\"x\",\"done\":true}",
        "{\"message\":{\"content\":\"x\"},\"done\":true",
    };
    static const char silent[] = "{\"message\":{\"content\":\"\"},\"done\":true}";
    char *json = long_body(1);
    assert_true(map_is_answer(silent, sizeof silent - 1));
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        assert_false(map_is_answer(answers[i], strlen(answers[i])));
        read_body(json, 100);
        ask(0);
        assert_int_equal(map_answered(&map, 0, answers[i], strlen(answers[i])), 0);
        assert_int_equal(map_next(&map), 0);
        ask(0);
        assert_int_equal(map_answered(&map, 0, answers[i], strlen(answers[i])), 0);
        assert_int_equal(map.lost_n, 1);
        map_fini(&map);
    }
    free(json);
}

static void test_a_summary_has_a_bound(void **state)
{
    (void)state;
    char *json = long_body(1), *content = malloc(MAP_SUMMARY_BYTES + 100);
    int n = sprintf(content, "{\"done\":true,\"message\":{\"content\":\"");
    memset(content + n, 'y', MAP_SUMMARY_BYTES + 1);
    strcpy(content + n + MAP_SUMMARY_BYTES + 1, "\"}}");
    read_body(json, 100);
    ask(0);
    assert_int_equal(map_answered(&map, 0, content, strlen(content)), 0);
    memmove(content + n, content + n + 11, MAP_SUMMARY_BYTES - 10 + 4);
    ask(0);
    assert_int_equal(map_answered(&map, 0, content, strlen(content)), 1);
    free(json);
    free(content);
}

static void test_a_part_has_as_many_characters_as_its_tokens(void **state)
{
    (void)state;
    static struct token_estimates none;
    size_t chars_n = map_part_chars(&none, "small", 3000);
    assert_in_range(chars_n, 11900, 12000);
    assert_true(token_estimate(&none, "small", chars_n, 1) <= 3000);
    assert_in_range(map_part_chars(&none, "small", 1), 1, 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_between_the_system_prompt_and_the_last_user_message, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing_to_map, begin, end),
        cmocka_unit_test_setup_teardown(test_what_can_t_be_read, begin, end),
        cmocka_unit_test_setup_teardown(test_too_many_parts, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_asked, begin, end),
        cmocka_unit_test_setup_teardown(test_a_part_inside_of_a_message_says_whose_it_is, begin, end),
        cmocka_unit_test_setup_teardown(test_room_is_shared, begin, end),
        cmocka_unit_test_setup_teardown(test_summaries_stand_in_the_order_of_the_parts, begin, end),
        cmocka_unit_test_setup_teardown(test_what_was_not_asked_for_yet_may_be_given_up, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_a_summary, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_no_answer, begin, end),
        cmocka_unit_test_setup_teardown(test_a_summary_has_a_bound, begin, end),
        cmocka_unit_test_setup_teardown(test_a_part_has_as_many_characters_as_its_tokens, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
