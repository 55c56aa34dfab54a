/* proxy/priority: what a request says of its priority, every mistake, and whose word counts. */
#include "proxy/priority.h"

#include "tests/unit/request_of.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define RIGHT "must be a whole number from 0 to 9 (9 goes first; 5 where nobody says)"

static int read_one(const char *lines, const char *body, struct priority_said *said, char why[PRIORITY_WHY_BYTES])
{
    struct message m = request_of(lines, "");
    int error = priority_read(said, &m, body, strlen(body), why);
    message_fini(&m);
    return error;
}

static void test_what_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *body;
        int of_head, of_body, is_in_body;
    } rows[] = {
        {"", "{\"model\":\"m\"}", -1, -1, 0},
        {"", "", -1, -1, 0},
        {"", "{}", -1, -1, 0},
        {"", "{\"priority\":0}", -1, 0, 1},
        {"", " { \"model\" : \"m\" , \"priority\" : 9 } ", -1, 9, 1},
        {"", "{\"Priority\":3}", -1, 3, 1},
        {"", "{\"prior\\u0069ty\":3}", -1, 3, 1},
        {"", "{\"priority\":1,\"PRIORITY\":2}", -1, 2, 1},
        {"", "{\"priority\":null}", -1, -1, 1},
        {"", "{\"priority\":99,\"priority\":1}", -1, 1, 1},
        {"", "{\"options\":{\"priority\":77},\"priorities\":8}", -1, -1, 0},
        {"", "{\"priority\":77", -1, -1, 0},      /* no JSON: nobody's number */
        {"", "[{\"priority\":77}]", -1, -1, 0},
        {"", "{\"priority\":4}{\"priority\":77}", -1, 4, 1},
        {"X-Priority: 7\n", "{}", 7, -1, 0},
        {"X-Priority:\n", "{}", -1, -1, 0},
        {"x-priority:0\n", "{\"priority\":8}", 0, 8, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct priority_said said;
        char why[PRIORITY_WHY_BYTES] = "";
        if (read_one(rows[i].lines, rows[i].body, &said, why) < 0)
            fail_msg("%s%s: %s", rows[i].lines, rows[i].body, why);
        if (said.of_head != rows[i].of_head || said.of_body != rows[i].of_body || said.is_in_body != rows[i].is_in_body)
            fail_msg("%s%s: head %d, body %d, %d", rows[i].lines, rows[i].body, said.of_head, said.of_body, said.is_in_body);
    }
}

static void test_every_mistake_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *body, *why;
    } rows[] = {
        {"", "{\"priority\":10}", "priority: " RIGHT ", not 10"},
        {"", "{\"priority\":-1}", "priority: " RIGHT ", not -1"},
        {"", "{\"priority\":5.0}", "priority: " RIGHT ", not 5.0"},
        {"", "{\"priority\":5e0}", "priority: " RIGHT ", not 5e0"},
        {"", "{\"priority\":1e308}", "priority: " RIGHT ", not 1e308"},
        {"", "{\"priority\":123456789012345678901234567890123456789012345678901234567890}", "priority: " RIGHT ", not 1234567890123456789012345678901234567890"},
        {"", "{\"priority\":\"5\"}", "priority: " RIGHT ", not a string"},
        {"", "{\"priority\":\"\"}", "priority: " RIGHT ", not a string"},
        {"", "{\"priority\":true}", "priority: " RIGHT ", not true"},
        {"", "{\"priority\":[5]}", "priority: " RIGHT ", not an array"},
        {"", "{\"priority\":{}}", "priority: " RIGHT ", not an object"},
        {"", "{\"priority\":5,\"priority\":50}", "priority: " RIGHT ", not 50"},
        {"X-Priority: 10\n", "{}", "X-Priority: " RIGHT ", not 10"},
        {"X-Priority: high\n", "{\"priority\":1}", "X-Priority: " RIGHT ", not high"},
        {"X-Priority: 5, 6\n", "{}", "X-Priority: " RIGHT ", not 5, 6"},
        {"X-Priority: \033[31m\n", "{}", "X-Priority: " RIGHT ", not ?[31m"},
        {"X-Priority: 1\nX-Priority: 1\n", "{}", "X-Priority: is there more than once; one of them is enough"},
        {"X-Priority: 10\n", "{\"priority\":11}", "priority: " RIGHT ", not 11"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct priority_said said;
        char why[PRIORITY_WHY_BYTES] = "";
        if (read_one(rows[i].lines, rows[i].body, &said, why) == 0)
            fail_msg("%s%s was taken", rows[i].lines, rows[i].body);
        assert_string_equal(why, rows[i].why);
    }
}

static void test_whose_word_counts(void **state)
{
    (void)state;
    static const struct {
        int of_body, of_head, of_key;
        unsigned chosen;
    } rows[] = {
        {-1, -1, -1, 5}, {-1, 3, -1, 3}, {9, 3, -1, 9}, {0, 9, -1, 0},
        {-1, -1, 7, 7},  {-1, -1, 0, 0}, {9, -1, 7, 7}, {-1, 9, 7, 7}, {2, 9, 7, 2}, {-1, 2, 7, 2}, {0, -1, 0, 0}, {1, -1, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct priority_said said = {rows[i].of_body, rows[i].of_head, 0};
        assert_int_equal(priority_choose(&said, rows[i].of_key), rows[i].chosen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_said),
        cmocka_unit_test(test_every_mistake_is_told),
        cmocka_unit_test(test_whose_word_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
