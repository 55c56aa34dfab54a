/* preload/together: what several Ollamas' rows are as one, with the names of those who have it not, and the bytes of all. */
#include "preload/together.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SITES = 3 };

static struct list names;
static struct contract nobody = {.channel_fd = -1};
static struct models all;
static struct site sites[SITES];

static int begin(void **state)
{
    static const char *const site_names[SITES] = {"a", "b", "c"};
    (void)state;
    assert_int_equal(list_append(&names, "x", 1) | list_append(&names, "y", 1), 0);
    assert_int_equal(models_init(&all, &names, &nobody, 0), 0);
    for (size_t i = 0; i < SITES; i++) {
        sites[i] = (struct site){.name = site_names[i], .nobody = {.channel_fd = -1}};
        assert_int_equal(models_init(&sites[i].own, &names, &sites[i].nobody, 0), 0);
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (size_t i = 0; i < SITES; i++)
        models_fini(&sites[i].own);
    models_fini(&all);
    list_fini(&names);
    return 0;
}

static void say(size_t site, enum contract_model_state state, const char *reason)
{
    models_set(&sites[site].own, &sites[site].own.items[0], state, reason, 0);
}

static void assert_row(enum contract_model_state state, const char *reason)
{
    together_tell(&all, sites, SITES, 0);
    assert_int_equal(all.items[0].state, state);
    assert_string_equal(all.items[0].reason ? all.items[0].reason : "", reason);
    assert_int_equal(all.items[1].state, CONTRACT_MODEL_PENDING); /* the other model is another matter */
}

static void test_a_model_is_there_when_all_have_it(void **state)
{
    (void)state;
    assert_row(CONTRACT_MODEL_PENDING, "");
    say(0, CONTRACT_MODEL_READY, "");
    assert_row(CONTRACT_MODEL_PENDING, "");
    say(1, CONTRACT_MODEL_PULLING, "");
    assert_row(CONTRACT_MODEL_PULLING, "");
    say(1, CONTRACT_MODEL_READY, "");
    assert_row(CONTRACT_MODEL_PENDING, "");
    say(2, CONTRACT_MODEL_READY, "");
    assert_row(CONTRACT_MODEL_READY, "");
}

static void test_who_has_it_not_is_named_when_all_have_ended(void **state)
{
    (void)state;
    say(1, CONTRACT_MODEL_FAILED, "no such model");
    assert_row(CONTRACT_MODEL_PENDING, "b: no such model");
    say(0, CONTRACT_MODEL_PULLING, "");
    assert_row(CONTRACT_MODEL_PULLING, "b: no such model");
    say(0, CONTRACT_MODEL_READY, "");
    say(2, CONTRACT_MODEL_FAILED, "the disk is full");
    assert_row(CONTRACT_MODEL_FAILED, "b, c: no such model");
}

static void test_who_tries_again_is_named_unless_somebody_has_failed(void **state)
{
    (void)state;
    say(0, CONTRACT_MODEL_PENDING, "it was cut off");
    assert_row(CONTRACT_MODEL_PENDING, "a: it was cut off");
    say(2, CONTRACT_MODEL_FAILED, "the disk is full");
    assert_row(CONTRACT_MODEL_PENDING, "c: the disk is full");
}

static void test_long_names_leave_room_for_the_reason(void **state)
{
    (void)state;
    char name[65];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (size_t i = 0; i < SITES; i++) {
        sites[i].name = name;
        say(i, CONTRACT_MODEL_FAILED, "the disk is full");
    }
    together_tell(&all, sites, SITES, 0);
    assert_int_equal(all.items[0].state, CONTRACT_MODEL_FAILED);
    assert_true(strlen(all.items[0].reason) < CONTRACT_REASON_BYTES);
    assert_non_null(strstr(all.items[0].reason, ": the disk is full"));
}

static void pull(size_t site, uint64_t completed, uint64_t total, uint64_t grown)
{
    say(site, CONTRACT_MODEL_PULLING, "");
    sites[site].pull.state = PULL_PULLING;
    sites[site].pull.current = &sites[site].own.items[0];
    sites[site].pull.progress.completed = completed;
    sites[site].pull.progress.total = total;
    sites[site].pull.progress.grown = grown;
    sites[site].has_news = 1;
}

static void test_bytes_are_those_of_all(void **state)
{
    (void)state;
    struct contract_page *page = calloc(1, sizeof *page);
    assert_non_null(page);
    nobody.page = page;
    nobody.line = &page->lines[0];
    pull(0, 10, 100, 10);
    pull(1, 30, 100, 30);
    together_tell(&all, sites, SITES, 0);
    assert_int_equal(atomic_load(&page->models[0].completed_bytes), 40);
    assert_int_equal(atomic_load(&page->models[0].total_bytes), 200);
    assert_int_equal(atomic_load(&page->lines[0].progress_bytes), 40);
    pull(0, 15, 100, 15);
    together_tell(&all, sites, SITES, 0);
    assert_int_equal(atomic_load(&page->models[0].completed_bytes), 45);
    assert_int_equal(atomic_load(&page->lines[0].progress_bytes), 45); /* each byte once */
    together_tell(&all, sites, SITES, 0);
    assert_int_equal(atomic_load(&page->lines[0].progress_bytes), 45);
    sites[0].pull.current = &sites[0].own.items[1]; /* the next model begins anew */
    sites[0].pull.progress.grown = 7;
    sites[0].has_news = 1;
    together_tell(&all, sites, SITES, 0);
    assert_int_equal(atomic_load(&page->lines[0].progress_bytes), 52);
    nobody = (struct contract){.channel_fd = -1};
    free(page);
}

#define CASE(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_model_is_there_when_all_have_it),
        CASE(test_who_has_it_not_is_named_when_all_have_ended),
        CASE(test_who_tries_again_is_named_unless_somebody_has_failed),
        CASE(test_long_names_leave_room_for_the_reason),
        CASE(test_bytes_are_those_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
