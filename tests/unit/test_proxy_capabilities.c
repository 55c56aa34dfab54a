/* proxy/capabilities: what an answer to POST /api/show says, what is kept of it, and who waits. A backend that nobody is at: what it is asked for
 * is never answered, and what others were told comes by capabilities_learn. */
#include "common/loop.h"
#include "common/parse.h"
#include "proxy/capabilities.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_what_show_says(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        unsigned has;
    } rows[] = {
        {"{\"capabilities\":[\"completion\"]}", 0},
        {"{\"capabilities\":[]}", 0},
        {"{\"capabilities\":[\"completion\",\"tools\"],\"template\":\"x\"}", TRANSLATE_TOOLS},
        {"{\"capabilities\":[\"vision\",\"completion\",null,5,\"audio\",\"thinking\"]}", TRANSLATE_IMAGES | TRANSLATE_THINKING},
        /* older ones */
        {"{\"template\":\"{{ range .Tools }}\"}", TRANSLATE_TOOLS | TRANSLATE_THINKING},
        {"{\"template\":\"{{ .Prompt }}\",\"projector_info\":{\"a\":1}}", TRANSLATE_IMAGES | TRANSLATE_THINKING},
        {"{\"template\":\"\",\"capabilities\":null}", TRANSLATE_THINKING},
        /* nothing that could be known */
        {"{}", CAPABILITIES_ALL},
        {"{\"capabilities\":\"tools\"}", CAPABILITIES_ALL},
        {"[]", CAPABILITIES_ALL},
        {"", CAPABILITIES_ALL},
        {"{\"capabilities\":[", CAPABILITIES_ALL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(capabilities_read(rows[i].json, strlen(rows[i].json)), rows[i].has);
}

struct world {
    struct loop loop;
    struct backend backend;
    struct tell tell;
    struct capabilities c;
};

static struct world w;

static int begin(void **state)
{
    char why[128];
    struct address at;
    (void)state;
    memset(&w, 0, sizeof w);
    assert_int_equal(loop_init(&w.loop), 0);
    assert_int_equal(parse_address("127.0.0.1:1", &at, why), 0);
    assert_int_equal(backend_init(&w.backend, &w.loop, &at, why, sizeof why), 0);
    tell_init(&w.tell, 1, 0);
    capabilities_init(&w.c, &w.backend, &w.tell, NULL, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    capabilities_fini(&w.c);
    backend_fini(&w.backend);
    loop_fini(&w.loop);
    return 0;
}

static const char plain[] = "{\"capabilities\":[\"completion\"]}", tools[] = "{\"capabilities\":[\"tools\"]}";

static void learn(const char *model, const char *json)
{
    capabilities_learn(&w.c, model, json, json ? strlen(json) : 0);
}

static void on_known(void *context)
{
    ++*(int *)context;
}

/* 1 and what is known; 0: it would wait. */
static int knows(const char *model, unsigned *has)
{
    struct capabilities_ticket t = {.fn = on_known};
    int is_known = capabilities_look(&w.c, &t, model, has);
    capabilities_leave(&t);
    return is_known;
}

static void test_what_others_were_told_is_known(void **state)
{
    (void)state;
    unsigned has = 0;
    learn("m", plain);
    assert_int_equal(knows("m", &has), 1);
    assert_int_equal(has, 0);
    assert_int_equal(knows("M:latest", &has), 1);
    learn("m", tools);
    assert_int_equal(knows("m", &has), 1);
    assert_int_equal(has, TRANSLATE_TOOLS);
    learn("m", NULL);
    assert_int_equal(knows("m", &has), 1);
    assert_int_equal(has, TRANSLATE_TOOLS);
    assert_int_equal(knows("other", &has), 0);
}

static void test_it_is_believed_for_a_while_and_until_models_change(void **state)
{
    (void)state;
    unsigned has;
    learn("m", plain);
    w.loop.now_ms += CAPABILITIES_KEPT_MS - 1;
    assert_int_equal(knows("m", &has), 1);
    w.loop.now_ms += 1;
    assert_int_equal(knows("m", &has), 0);
    learn("n", plain);
    capabilities_forget(&w.c);
    assert_int_equal(knows("n", &has), 0);
}

/* A model that is asked for has its row as long as that takes; of others the longest unused makes room. */
static void test_what_is_known_is_bounded(void **state)
{
    (void)state;
    unsigned has;
    char model[16];
    assert_int_equal(knows("asked", &has), 0);
    for (int i = 0; i < CAPABILITIES_MODELS - 1; i++) {
        snprintf(model, sizeof model, "m%d", i);
        learn(model, plain);
    }
    assert_int_equal(knows("m0", &has), 1);
    learn("more", tools);
    assert_int_equal(knows("m0", &has), 1);
    assert_int_equal(knows("more", &has), 1);
    assert_int_equal(has, TRANSLATE_TOOLS);
    assert_non_null(w.c.rows[0].show);
    assert_string_equal(w.c.rows[0].model, "asked");
    learn("even more", tools);
    learn("and more", tools);
    assert_string_equal(w.c.rows[0].model, "asked");
}

static void test_who_waits_in_which_order_and_leaves(void **state)
{
    (void)state;
    int told[3] = {0};
    unsigned has;
    struct capabilities_ticket t[3];
    for (int i = 0; i < 3; i++) {
        t[i] = (struct capabilities_ticket){.fn = on_known, .context = &told[i]};
        assert_int_equal(capabilities_look(&w.c, &t[i], "m", &has), 0);
        assert_int_equal(has, CAPABILITIES_ALL);
    }
    assert_ptr_equal(w.c.rows[0].first, &t[0]);
    assert_ptr_equal(w.c.rows[0].last, &t[2]);
    capabilities_leave(&t[1]);
    capabilities_leave(&t[1]);
    assert_ptr_equal(t[0].next, &t[2]);
    assert_ptr_equal(t[2].prev, &t[0]);
    capabilities_leave(&t[2]);
    assert_ptr_equal(w.c.rows[0].last, &t[0]);
    capabilities_leave(&t[0]);
    assert_null(w.c.rows[0].first);
    assert_null(w.c.rows[0].last);
}

/* Where nobody can be asked, nobody waits: each row is being asked for. */
static void test_too_many_models_at_once(void **state)
{
    (void)state;
    unsigned has = 0;
    char model[16];
    for (int i = 0; i < CAPABILITIES_MODELS; i++) {
        snprintf(model, sizeof model, "m%d", i);
        assert_int_equal(knows(model, &has), 0);
    }
    assert_int_equal(knows("more", &has), 1);
    assert_int_equal(has, CAPABILITIES_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_show_says),
        cmocka_unit_test_setup_teardown(test_what_others_were_told_is_known, begin, end),
        cmocka_unit_test_setup_teardown(test_it_is_believed_for_a_while_and_until_models_change, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_known_is_bounded, begin, end),
        cmocka_unit_test_setup_teardown(test_who_waits_in_which_order_and_leaves, begin, end),
        cmocka_unit_test_setup_teardown(test_too_many_models_at_once, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
