/* common/hash: the values that the authors of FNV-1a give for these texts. */
#include "common/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_it_is_fnv_1a(void **state)
{
    (void)state;
    assert_true(hash_bytes(HASH_START, "", 0) == UINT64_C(0xcbf29ce484222325));
    assert_true(hash_bytes(HASH_START, "a", 1) == UINT64_C(0xaf63dc4c8601ec8c));
    assert_true(hash_bytes(HASH_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
    assert_true(hash_bytes(hash_bytes(HASH_START, "foo", 3), "bar", 3) == hash_bytes(HASH_START, "foobar", 6));
}

static void test_bytes_above_127_count_as_they_are(void **state)
{
    (void)state;
    assert_true(hash_bytes(HASH_START, "\xff", 1) == hash_add(HASH_START, 0xff));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_fnv_1a),
        cmocka_unit_test(test_bytes_above_127_count_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
