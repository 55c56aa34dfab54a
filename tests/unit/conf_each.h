/*
 * conf_each: one conf_case, k, for each test of a file.
 */
#ifndef TESTS_UNIT_CONF_EACH_H
#define TESTS_UNIT_CONF_EACH_H

#include "tests/unit/conf_case.h"

/* The case of the test that runs; cmocka_unit_test_setup_teardown() begins and ends it by these. */
static struct conf_case k;

static inline int conf_case_setup(void **state)
{
    (void)state;
    conf_case_begin(&k);
    return 0;
}

static inline int conf_case_teardown(void **state)
{
    (void)state;
    conf_case_end(&k);
    return 0;
}

#endif
