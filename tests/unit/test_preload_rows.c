/* preload/models as pull.c uses them: every row gets an end, the channel hears of it, the page has its bounds. */
#include "tests/unit/preload_scene.h"

static void test_stop_gives_every_row_an_end(void **state)
{
    (void)state;
    struct scene *s = scene_new(two, 5);
    list_models(s, nothing);
    pull_stop(&s->pull, s->now_ms);
    assert_int_equal(s->pull.state, PULL_ENDED);
    assert_int_equal(s->pull.ask, PULL_ASK_NOTHING);
    assert_int_equal(row_state(s, 0), CONTRACT_MODEL_FAILED);
    assert_int_equal(row_state(s, 1), CONTRACT_MODEL_FAILED);
    assert_int_equal(s->contract.line->in_flight_n, 0);
    end(s, 200);
    pass(s, 500);
    assert_int_equal(s->pull.state, PULL_ENDED);
    scene_free(s);
}

static void test_stop_of_everything_leaves_the_rows(void **state)
{
    (void)state;
    struct scene *s = scene_new(two, 5);
    list_models(s, nothing);
    s->page->is_stopping = 1;
    pull_stop(&s->pull, s->now_ms);
    assert_int_equal(row_state(s, 1), CONTRACT_MODEL_PENDING);
    assert_int_equal(s->pull.state, PULL_ENDED);
    scene_free(s);
}

static void test_stop_for_another_preloader_leaves_the_page_to_it(void **state)
{
    (void)state;
    static const uint32_t phases[] = {CONTRACT_PHASE_WAITING, CONTRACT_PHASE_NONE};
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        struct scene *s = scene_new(two, 5);
        list_models(s, nothing);
        s->page->phase = phases[i];
        pull_stop(&s->pull, s->now_ms);
        assert_int_equal(s->pull.state, PULL_ENDED);
        assert_int_equal(s->page->phase, phases[i]);
        assert_int_equal(row_state(s, 1), CONTRACT_MODEL_PENDING);
        scene_free(s);
    }
}

static void test_progress_is_told_four_times_a_second(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 5);
    list_models(s, nothing);
    messages(s);
    for (int i = 1; i <= 100; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"status\":\"p\",\"digest\":\"a\",\"total\":1000,\"completed\":%d}\n", i);
        s->now_ms += 10;
        say(s, text);
        models_tell(&s->models, s->now_ms);
    }
    unsigned told_n = messages(s);
    assert_in_range(told_n, 3, 5);
    scene_free(s);
}

static void test_a_full_channel_is_told_later(void **state)
{
    (void)state;
    struct scene *s = scene_new(one, 5);
    while (contract_send(s->contract.channel_fd, CONTRACT_WANT, 0, "x") == 0)
        ;
    list_models(s, has_tiny);
    assert_true(s->models.is_untold);
    messages(s);
    assert_int_equal(models_tell(&s->models, s->now_ms + 1000), -1);
    assert_int_equal(messages(s), 1);
    scene_free(s);
}

static void test_more_models_than_rows(void **state)
{
    (void)state;
    static char names[CONTRACT_MODELS + 10][16];
    const char *list[CONTRACT_MODELS + 11];
    for (size_t i = 0; i < CONTRACT_MODELS + 10; i++) {
        snprintf(names[i], sizeof names[i], "m%zu", i);
        list[i] = names[i];
    }
    list[CONTRACT_MODELS + 10] = NULL;
    struct scene *s = scene_new(list, 0);
    assert_int_equal(s->page->models_n, CONTRACT_MODELS + 10);
    list_models(s, nothing);
    for (size_t i = 0; i < CONTRACT_MODELS + 10; i++)
        answer_pull(s, "{\"error\":\"file does not exist\"}");
    assert_int_equal(s->pull.state, PULL_ENDED);
    assert_int_equal(models_count(&s->models, CONTRACT_MODEL_FAILED), CONTRACT_MODELS + 10);
    scene_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_gives_every_row_an_end),
        cmocka_unit_test(test_stop_of_everything_leaves_the_rows),
        cmocka_unit_test(test_stop_for_another_preloader_leaves_the_page_to_it),
        cmocka_unit_test(test_progress_is_told_four_times_a_second),
        cmocka_unit_test(test_a_full_channel_is_told_later),
        cmocka_unit_test(test_more_models_than_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
