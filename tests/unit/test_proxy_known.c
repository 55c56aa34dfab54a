/* proxy/known, known_file, ask_show: what is known of a sleeping Ollama, its bounds, and how it is kept and told. */
#include "proxy/ask_show.h"
#include "proxy/known_file.h"
#include "proxy/known_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STANDING = 3, TOKEN = 4711 };

static struct known known;

static struct known_key path_key(const char *path)
{
    struct known_key key = {.kind = KNOWN_PATH};
    snprintf(key.name, sizeof key.name, "%s", path);
    return key;
}

static struct known_key show_key(const char *model, int is_verbose)
{
    struct known_key key = {.kind = KNOWN_SHOW, .is_verbose = is_verbose};
    snprintf(key.name, sizeof key.name, "%s", model);
    return key;
}

static void note_show(const char *model)
{
    struct known_key key = show_key(model, 0);
    known_note(&known, &key);
}

/* The answer's text; NULL: nobody knows. */
static const char *told(struct known_key key)
{
    static char text[64];
    const struct known_entry *e = known_answer(&known, &key);
    if (!e)
        return NULL;
    snprintf(text, sizeof text, "%.*s", (int)e->body_n, e->body);
    return text;
}

/* Asks until nothing is left; every answer is this text with the name of what was asked, in a body of so many bytes. */
static unsigned ask_round(const char *text, size_t body_n)
{
    unsigned asked_n = 0;
    char *body = calloc(1, body_n + CONTRACT_NAME_BYTES);
    assert_non_null(body);
    known_begin_round(&known);
    for (struct known_entry *e; (e = known_next(&known)); asked_n++) {
        int n = snprintf(body, body_n + CONTRACT_NAME_BYTES, "%s %s", text, e->key.name);
        known_take(&known, e, "text/plain", body, body_n > (size_t)n ? body_n : (size_t)n);
    }
    free(body);
    return asked_n;
}

static int setup(void **state)
{
    (void)state;
    known_init(&known);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    known_fini(&known);
    assert_int_equal(known.bytes, 0);
    return 0;
}

static void test_the_state_is_asked_for_always_and_what_was_shown_where_it_was_asked_for(void **state)
{
    (void)state;
    assert_null(told(path_key("/api/tags")));
    note_show("m");
    assert_int_equal(ask_round("one", 0), STANDING + 1);
    assert_string_equal(told(path_key("/api/tags")), "one /api/tags");
    assert_string_equal(told(path_key("/")), "one /");
    assert_string_equal(told(show_key("library/M:latest", 0)), "one m");
    assert_null(told(show_key("m", 1)));
    assert_null(told(show_key("n", 0)));
    assert_int_equal(ask_round("one", 0), STANDING); /* what was shown still holds */
    assert_string_equal(told(show_key("m", 0)), "one m");
}

static void test_other_models_or_another_version_make_all_that_was_shown_be_asked_for_again(void **state)
{
    (void)state;
    static const char *const telling[] = {"/api/version", "/api/tags"};
    for (size_t i = 0; i < 2; i++) {
        note_show("m");
        ask_round("one", 0);
        known_begin_round(&known);
        for (struct known_entry *e; (e = known_next(&known)) && e->key.kind == KNOWN_PATH;) {
            char body[CONTRACT_NAME_BYTES + 8];
            snprintf(body, sizeof body, "%s %s", strcmp(e->key.name, telling[i]) == 0 ? "two" : "one", e->key.name);
            known_take(&known, e, "text/plain", body, strlen(body));
        }
        assert_null(told(show_key("m", 0))); /* it was given by known_next, and is not answered yet */
        assert_string_equal(told(path_key(telling[i])), i ? "two /api/tags" : "two /api/version");
    }
}

/* The next round, in which this is the list. How many were asked for. */
static unsigned ask_round_with_list(const char *list)
{
    unsigned asked_n = 0;
    known_begin_round(&known);
    for (struct known_entry *e; (e = known_next(&known)); asked_n++) {
        const char *body = strcmp(e->key.name, "/api/tags") == 0 ? list : "x";
        known_take(&known, e, "text/plain", body, strlen(body));
    }
    return asked_n;
}

static void test_models_in_another_order_are_the_same_models(void **state)
{
    (void)state;
    note_show("m");
    assert_int_equal(ask_round_with_list("{\"models\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"}]}"), STANDING + 1);
    assert_int_equal(ask_round_with_list("{\"models\":[{\"name\":\"b\"},{\"name\":\"c\"},{\"name\":\"a\"}]}"), STANDING);
    assert_int_equal(ask_round_with_list("{\"models\":[{\"name\":\"b\"},{\"name\":\"c\"},{\"name\":\"d\"}]}"), STANDING + 1);
    assert_int_equal(ask_round_with_list("{\"models\":[{\"name\":\"b\"},{\"name\":\"d\"},{\"name\":\"c\"}]}"), STANDING);
    assert_int_equal(ask_round_with_list("{\"models\":[{\"name\":\"b\"},{\"name\":\"d\"},{\"name\":\"d\"}]}"), STANDING + 1);
    assert_int_equal(ask_round_with_list("{\"models\":[{\"name\":\"bd\"},{\"name\":\"\"},{\"name\":\"d\"}]}"), STANDING + 1);
}

static void test_lists_that_are_none_are_compared_as_they_stand(void **state)
{
    (void)state;
    static const char list[] = "{\"models\":[1,2]}", turned[] = "{\"models\":[2,1]}";
    assert_true(known_list_is_same(list, sizeof list - 1, turned, sizeof turned - 1));
    static const char *const others[] = {"{\"MODELS\":[2,1]}", "{\"models\":[2,1]", "{\"models\":[2,1}]", "{ \"models\":[2,1]", "[\"models\",[2,1]]",
                                         "{\"models\":\"2,1\"}", "{\"models\":[2,1]}}", "", "{\"models\":[2, 1]}", " {\"models\":[21]}"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(known_list_is_same(list, sizeof list - 1, others[i], strlen(others[i])));
}

static void test_where_the_list_is_not_known_nothing_that_was_shown_is(void **state)
{
    (void)state;
    note_show("m");
    ask_round("one", 0);
    known_begin_round(&known);
    for (struct known_entry *e; (e = known_next(&known));)
        known_take_none(&known, e);
    assert_null(told(show_key("m", 0)));
    assert_null(told(path_key("/api/tags")));
    assert_int_equal(ask_round("one", 0), STANDING); /* the show was answered by none, and is forgotten */
    assert_null(told(show_key("m", 0)));
}

static void test_what_was_not_answered_in_time_is_not_told(void **state)
{
    (void)state;
    ask_round("one", 0);
    known_begin_round(&known);
    assert_non_null(known_next(&known));
    assert_null(told(path_key("/api/tags")));
    assert_null(told(path_key("/api/version")));
}

static void test_the_least_recently_used_is_forgotten_first_and_the_state_never(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < KNOWN_ENTRIES - STANDING; i++) {
        snprintf(name, sizeof name, "m%d", i);
        note_show(name);
    }
    assert_int_equal(ask_round("one", 0), KNOWN_ENTRIES);
    note_show("m0"); /* used again */
    note_show("new");
    assert_int_equal(ask_round("one", 0), STANDING + 1);
    assert_non_null(told(show_key("m0", 0)));
    assert_non_null(told(show_key("new", 0)));
    assert_null(told(show_key("m1", 0)));
    assert_non_null(told(path_key("/api/tags")));
}

static void test_bodies_have_bounds_and_the_latest_used_ones_stay(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "m%d", i);
        note_show(name);
    }
    ask_round("one", KNOWN_BODY_BYTES); /* three of the state, and five more */
    assert_true(known.bytes <= KNOWN_ALL_BYTES);
    assert_int_equal(known.bytes, KNOWN_ALL_BYTES);
    assert_non_null(told(show_key("m19", 0)));
    assert_non_null(told(show_key("m15", 0)));
    assert_null(told(show_key("m14", 0)));
    ask_round("two", KNOWN_BODY_BYTES + 1);
    assert_null(told(path_key("/api/tags")));
    assert_int_equal(known.bytes, 0);
}

static void test_models_are_asked_for_before_what_may_take_long(void **state)
{
    (void)state;
    struct known_key slow = path_key("/api/experimental/model-recommendations");
    note_show("first");
    note_show("second");
    known_note(&known, &slow);
    static const char *const wanted[] = {"second", "first", "/api/experimental/model-recommendations"};
    known_begin_round(&known);
    for (int i = 0; i < STANDING; i++)
        assert_int_equal(known_next(&known)->key.kind, KNOWN_PATH);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(known_next(&known)->key.name, wanted[i]);
    assert_null(known_next(&known));
}

static void test_keys_that_are_none_count_for_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "a b", "a\nb", "../x", "http://x/y", "a:b:c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct known_key show = show_key(bad[i], 0), path = path_key(bad[i]);
        assert_false(known_key_is_good(&show));
        assert_false(known_key_is_good(&path));
        known_note(&known, &show);
        known_note(&known, &path);
    }
    assert_int_equal(ask_round("one", 0), STANDING);
}

/* Written and read by another one. */
static int read_back(struct known *into, uint64_t token, const char *text, size_t text_n)
{
    known_init(into);
    return known_file_read(into, token, text, text_n);
}

static void fill(struct buf *out)
{
    struct known_key verbose = show_key("m", 1);
    note_show("m");
    note_show("hf.co/who/what:q4");
    known_note(&known, &verbose);
    ask_round("one", 0);
    note_show("later");
    buf_init(out, KNOWN_FILE_BYTES);
    assert_int_equal(known_file_write(&known, TOKEN, out), 0);
}

static void test_what_is_kept_is_read_again_in_the_same_order(void **state)
{
    (void)state;
    struct known back;
    struct buf text, again;
    fill(&text);
    assert_int_equal(read_back(&back, TOKEN, buf_data(&text), buf_size(&text)), 0);
    for (const struct known_entry *e = NULL; (e = known_next_used(&known, e));) {
        const struct known_entry *other = known_find(&back, &e->key);
        assert_non_null(other);
        assert_int_equal(other->is_fresh, e->is_fresh);
        assert_int_equal(other->body_n, e->body_n);
        if (e->body)
            assert_memory_equal(other->body, e->body, e->body_n);
    }
    buf_init(&again, KNOWN_FILE_BYTES);
    assert_int_equal(known_file_write(&back, TOKEN, &again), 0);
    assert_int_equal(buf_size(&again), buf_size(&text));
    assert_memory_equal(buf_data(&again), buf_data(&text), buf_size(&text));
    known_fini(&back);
    buf_fini(&text);
    buf_fini(&again);
}

static void test_of_another_supervisor_nothing_is_fresh_but_it_is_asked_for_again(void **state)
{
    (void)state;
    struct known back;
    struct buf text;
    fill(&text);
    assert_int_equal(read_back(&back, TOKEN + 1, buf_data(&text), buf_size(&text)), 0);
    struct known_key tags = path_key("/api/tags"), show = show_key("m", 0);
    assert_null(known_answer(&back, &tags));
    assert_null(known_answer(&back, &show));
    known_begin_round(&back);
    unsigned asked_n = 0;
    while (known_next(&back))
        asked_n++;
    assert_int_equal(asked_n, STANDING + 4);
    known_fini(&back);
    buf_fini(&text);
}

static void test_a_file_that_was_cut_or_changed_is_none(void **state)
{
    (void)state;
    struct known back;
    struct buf text;
    fill(&text);
    size_t n = buf_size(&text);
    char *copy = malloc(n);
    assert_non_null(copy);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(read_back(&back, TOKEN, buf_data(&text), i), -EINVAL);
        memcpy(copy, buf_data(&text), n);
        copy[i] = (char)(copy[i] ^ 1);
        assert_int_equal(read_back(&back, TOKEN, copy, n), -EINVAL);
        assert_int_equal(back.bytes, 0);
    }
    free(copy);
    buf_fini(&text);
}

static void assert_show(const char *json, const char *model, int is_verbose)
{
    struct known_key key;
    int error = ask_show_read(&key, json, strlen(json));
    assert_int_equal(error, model ? 0 : -EINVAL);
    if (!model)
        return;
    assert_string_equal(key.name, model);
    assert_int_equal(key.is_verbose, is_verbose);
    struct buf out;
    struct known_key back;
    buf_init(&out, 1024);
    assert_int_equal(ask_show_write(&key, &out), 0);
    assert_int_equal(ask_show_read(&back, buf_data(&out), buf_size(&out)), 0);
    assert_memory_equal(&back, &key, sizeof key);
    buf_fini(&out);
}

static void test_a_show_is_known_by_its_model_and_how_much_is_wanted(void **state)
{
    (void)state;
    assert_show("{\"model\":\"m\"}", "m", 0);
    assert_show(" {\"Model\": \"a/b:c\", \"verbose\": true} trailing", "a/b:c", 1);
    assert_show("{\"name\":\"m\",\"verbose\":null,\"system\":null}", "m", 0);
    assert_show("{\"name\":\"x\",\"model\":\"m\"}", "m", 0);
    assert_show("{\"name\":\"x\",\"model\":\"\"}", "x", 0);
    assert_show("{\"model\":\"m\",\"unknown\":[1]}", "m", 0);
    assert_show("{\"model\":\"m\",\"system\":\"s\"}", NULL, 0);
    assert_show("{\"model\":\"m\",\"template\":\"\"}", NULL, 0);
    assert_show("{\"model\":\"m\",\"options\":{}}", NULL, 0);
    assert_show("{\"model\":\"m\",\"verbose\":\"yes\"}", NULL, 0);
    assert_show("{\"model\":1}", NULL, 0);
    assert_show("{\"model\":\"m\",\"name\":5}", NULL, 0);
    assert_show("{\"model\":\"m\\u0000\"}", NULL, 0);
    assert_show("{\"model\":\"m\",\"MODEL\":\"n\"}", NULL, 0);
    assert_show("{\"model\":\"m\",\"verbose\":true,\"verbose\":null}", NULL, 0);
    assert_show("{\"model\":\"m\",\"system\":\"s\",\"system\":null}", NULL, 0);
    assert_show("{\"model\":\"a b\"}", NULL, 0);
    assert_show("{}", NULL, 0);
    assert_show("{\"model\":\"m\"", NULL, 0);
    assert_show("", NULL, 0);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(test_the_state_is_asked_for_always_and_what_was_shown_where_it_was_asked_for),
        EACH(test_other_models_or_another_version_make_all_that_was_shown_be_asked_for_again),
        EACH(test_models_in_another_order_are_the_same_models),
        EACH(test_lists_that_are_none_are_compared_as_they_stand),
        EACH(test_where_the_list_is_not_known_nothing_that_was_shown_is),
        EACH(test_what_was_not_answered_in_time_is_not_told),
        EACH(test_the_least_recently_used_is_forgotten_first_and_the_state_never),
        EACH(test_bodies_have_bounds_and_the_latest_used_ones_stay),
        EACH(test_models_are_asked_for_before_what_may_take_long),
        EACH(test_keys_that_are_none_count_for_nothing),
        EACH(test_what_is_kept_is_read_again_in_the_same_order),
        EACH(test_of_another_supervisor_nothing_is_fresh_but_it_is_asked_for_again),
        EACH(test_a_file_that_was_cut_or_changed_is_none),
        EACH(test_a_show_is_known_by_its_model_and_how_much_is_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
