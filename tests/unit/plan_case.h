/*
 * plan_case: a body of /api/chat, message by message, its plan, and what is written of it.
 */
#ifndef TESTS_UNIT_PLAN_CASE_H
#define TESTS_UNIT_PLAN_CASE_H

#include "proxy/plan.h"

#include "proxy/prompt.h"
#include "proxy/translation.h"
#include "tests/unit/conf_each.h"

#include <errno.h>

#define ON "[optimizer]\nenabled = yes\n"

static struct token_estimates estimates;
static struct plan plan;
static struct buf body, out;
static char why[PLAN_WHY_BYTES];

static inline int plan_case_begin(void **state)
{
    memset(&estimates, 0, sizeof estimates);
    buf_init(&body, 0);
    buf_init(&out, 0);
    return conf_case_setup(state);
}

static inline int plan_case_end(void **state)
{
    buf_fini(&body);
    buf_fini(&out);
    return conf_case_teardown(state);
}

static inline void load(const char *ini)
{
    conf_case_load(&k, ini, NULL);
    assert_int_equal(k.error, 0);
}

static inline struct plan_rules rules(void)
{
    return (struct plan_rules){.conf = k.conf, .estimates = &estimates, .asked_model = "auto"};
}

static inline void open_body(const char *before)
{
    buf_truncate(&body, 0);
    assert_int_equal(buf_printf(&body, "{\"model\":\"auto\",%s\"messages\":[", before), 0);
}

/* content_n characters: the first letter of the role, and dots. */
static inline void say(const char *role, size_t content_n)
{
    const char *data = buf_data(&body);
    int is_first = data[buf_size(&body) - 1] == '[';
    assert_int_equal(buf_printf(&body, "%s{\"role\":\"%s\",\"content\":\"", is_first ? "" : ", ", role), 0);
    for (size_t i = 0; i < content_n; i++)
        assert_int_equal(buf_append(&body, i ? "." : role, 1), 0);
    assert_int_equal(buf_text(&body, "\"}"), 0);
}

static inline void close_body(const char *behind)
{
    assert_int_equal(buf_printf(&body, "]%s}", behind), 0);
}

static inline int make(const char *forced)
{
    struct plan_rules r = rules();
    return plan_make(&plan, &r, buf_data(&body), buf_size(&body), forced, why);
}

static inline int write_with(const struct plan_rules *r, const struct plan_parts *summaries)
{
    buf_truncate(&out, 0);
    int error = plan_write(&plan, r, buf_data(&body), buf_size(&body), summaries, &out, why);
    assert_int_equal(buf_append(&out, "", 1), 0);
    return error;
}

static inline int write_plain(void)
{
    struct plan_rules r = rules();
    return write_with(&r, NULL);
}

static inline void assert_says(const char *text)
{
    if (!strstr(buf_data(&out), text))
        fail_msg("no %s in %.2000s", text, buf_data(&out));
}

static inline void assert_silent(const char *text)
{
    if (strstr(buf_data(&out), text))
        fail_msg("%s in %.2000s", text, buf_data(&out));
}

#define PLAN_CASE(test) cmocka_unit_test_setup_teardown(test, plan_case_begin, plan_case_end)

#endif
